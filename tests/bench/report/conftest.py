"""A made-up benchmark and its report, made once, and a browser to open it in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from made_up import Benchmark, make_work_dir

from wrs_mm.bench.report.files import collect, write_tables
from wrs_mm.bench.report.page import write_page


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Three seeds of a detector and a segmentor, with their report written."""
    work_dir = make_work_dir(tmp_path_factory.mktemp("report") / "work")
    report = collect(work_dir, with_images=True)
    write_tables(report)
    return Benchmark(work_dir, report, write_page(report).read_text())


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
