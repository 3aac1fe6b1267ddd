"""A made-up benchmark and its report, made once."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from made_up import make_work_dir

from wrs_mm.bench.report.files import Report, collect, write_tables
from wrs_mm.bench.report.page import write_page
from wrs_mm.bench.runs import WorkDir


class Benchmark(NamedTuple):
    """A work dir, what was found in it, and the page's text."""

    work_dir: WorkDir
    report: Report
    page: str


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Three seeds of a detector and a segmentor, with their report written."""
    work_dir = make_work_dir(tmp_path_factory.mktemp("report") / "work")
    report = collect(work_dir, with_images=True)
    write_tables(work_dir, report)
    return Benchmark(work_dir, report, write_page(work_dir, report).read_text())
