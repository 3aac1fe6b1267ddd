"""Every run with its state, time and memory."""

from __future__ import annotations

from collections.abc import Iterable

from wrs_mm.bench.report.labels import NONE, number
from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell
from wrs_mm.bench.statistics.benchmark import RunData


def runs_table(runs: Iterable[RunData]) -> Table:
    """The runs, recipe by recipe."""
    columns = [
        *(Column("run"), Column("state"), Column("iterations", True), Column("minutes", True)),
        *(Column("peak memory (MiB)", True), Column("best at", True), Column("why not done")),
    ]
    return Table("", "", columns, [_row(run) for run in runs])


def _row(run: RunData) -> Row:
    # The heading says the recipe.
    cells = [TableCell(run.spec.name_in_recipe), TableCell(run.status.value)]
    result = run.result
    if result is None:
        return Row(run.spec.arm_label, [*cells, *[TableCell(NONE)] * 4, TableCell("")], run.spec.recipe)
    memory, best = result.peak_memory, result.best
    cells += [
        TableCell(str(result.iteration), result.iteration),
        TableCell(number(result.seconds / 60), result.seconds),
        TableCell(NONE) if memory is None else TableCell(f"{memory:.0f}", memory),
        TableCell(NONE) if best is None else TableCell(str(best.iteration), best.iteration),
        TableCell(result.reason or ""),
    ]
    return Row(run.spec.arm_label, cells, run.spec.recipe)
