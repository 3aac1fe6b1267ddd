"""Studies that the documents cite: their tables come out of the packs beside them (wrs_mm.bench.packs)."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.packs.unpack import unpack
from wrs_mm.bench.report.files import collect, write_tables
from wrs_mm.bench.runs.work_dir import WorkDir

REPORTS = Path(__file__).parents[3] / "docs" / "reports"

PACK, TABLE = ".pack.tar.xz", ".table.md"

STUDIES = sorted(path.name.removesuffix(PACK) for path in REPORTS.glob(f"*{PACK}"))

MADE_UP = "a made-up study"


def remade_table(pack: Path, folder: Path) -> str:
    """The tables of the study in a pack, made anew in a folder that does not exist."""
    unpack([pack], folder)
    write_tables(collect(WorkDir(folder), with_images=True))
    return (folder / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [MADE_UP, *(pytest.param(name, marks=pytest.mark.slow) for name in STUDIES)])
def test_the_tables_of_a_study_come_out_of_its_pack(name, request, tmp_path):
    if name == MADE_UP:
        file = request.getfixturevalue("packed")
        table = request.getfixturevalue("study").path / "table.md"
    else:
        file, table = REPORTS / f"{name}{PACK}", REPORTS / f"{name}{TABLE}"
    assert file.stat().st_size < 20e6
    assert remade_table(file, tmp_path / "work") == table.read_text(encoding="utf-8")


def test_every_table_beside_the_reports_has_its_pack():
    tables = sorted(path.name.removesuffix(TABLE) for path in REPORTS.glob(f"*{TABLE}"))
    assert tables == STUDIES
