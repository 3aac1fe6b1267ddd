"""The table of sharpness at the end of training."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wrs_mm.bench.report.labels import NONE
from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell, ratio_cell
from wrs_mm.bench.statistics.sharpness import SPACES, LastSharpness


def sharpness_table(where: str, rows: Sequence[LastSharpness]) -> Table:
    """Arm by arm, at the last measurement.

    Args:
        where: The recipe.
        rows: Its arms.
    """
    columns = [
        Column("arm"),
        Column("updates", numeric=True),
        Column("seeds", numeric=True),
    ]
    for space in SPACES:
        columns += [Column(space.name, numeric=True), Column("over its edge", numeric=True, joined=True)]
    return Table(
        f"{where}: sharpness at the last measurement, and over its edge while training",
        "Mean ± standard deviation over the seeds that have measured after as many updates as any of their "
        "arm's. Over its edge: geometric mean of sharpness ÷ edge of stability over all measurements after "
        "the first update at which the learning rate was at least a tenth of its largest; 95 % interval over "
        "seeds from three on.",
        columns,
        [Row(one.arm, _cells(one)) for one in rows],
    )


def _cells(one: LastSharpness) -> list[TableCell]:
    cells = [
        TableCell(one.arm),
        TableCell(f"{one.iteration:,}", one.iteration),
        TableCell(str(one.seeds), one.seeds),
    ]
    for (mean, sd), ratio in zip(one.values, one.ratios, strict=True):
        text = NONE if math.isnan(mean) else f"{_digits(mean, 3)} ± {_digits(sd, 2)}"
        cells += [TableCell(text, mean), ratio_cell(ratio)]
    return cells


def _digits(value: float, count: int) -> str:
    """So many of them, ``0.0123`` and ``98,700``: a column goes over powers of ten, and is compared."""
    if math.isnan(value):
        return NONE
    rounded = f"{value:.{count}g}"
    return f"{float(rounded):,.0f}" if 100 <= abs(value) < 1e7 else rounded
