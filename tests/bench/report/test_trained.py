"""The tables of what trainings did to their weights, in table.md: tables/trained.py."""

from __future__ import annotations

from pathlib import Path

from made_up_dynamics import make_watched_work_dir, write_dynamics
from made_up_noise import write_noise

from wrs_mm.bench.report.files import collect, write_tables
from wrs_mm.bench.report.tables.trained import trained_tables
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import read_benchmark


def write(folder: Path, arm: str, seed: int) -> None:
    write_dynamics(folder, arm, seed, updates=40)
    write_noise(folder)


def headings(work_dir: WorkDir) -> list[str]:
    lines = work_dir.table.read_text().splitlines()
    return [line.removeprefix("## ") for line in lines if line.startswith("## ")]


def test_table_md_has_what_training_did_to_the_weights_recipe_by_recipe(tmp_path: Path) -> None:
    made = make_watched_work_dir(tmp_path / "work", ["none", "wd"], write=write)
    write_tables(collect(made, with_images=True))
    tables = trained_tables(read_benchmark(made, details=True).runs)
    weights, predicted = tables
    assert weights.title.endswith(": what training did to the weights")
    recipe = weights.title.removesuffix(": what training did to the weights")
    assert predicted.title == f"{recipe}: measured over predicted, in equilibrium"
    assert headings(made)[-2:] == [weights.title, predicted.title]
    assert "25.00" in made.table.read_text()


def test_without_details_and_of_runs_that_measured_nothing_there_are_none(tmp_path: Path) -> None:
    made = make_watched_work_dir(tmp_path / "work", ["none", "wd"], write=write)
    write_tables(collect(made))
    assert not any("weights" in heading for heading in headings(made))
    assert trained_tables(read_benchmark(made).runs) == []
