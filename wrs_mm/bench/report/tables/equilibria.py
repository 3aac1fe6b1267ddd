"""The table of equilibria: what weight decay was measured to do, over what theory predicts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wrs_mm.bench.report.labels import NONE
from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell, ratio_cell
from wrs_mm.bench.statistics.equilibria import Equilibrium


def equilibria_table(rows: Sequence[Equilibrium]) -> Table | None:
    """Stage by stage, of the arms that have an equilibrium; None where none has."""
    if not rows:
        return None
    columns = [
        Column("arm"),
        Column("stage"),
        Column("time constant", numeric=True),
        Column("reports in equilibrium", numeric=True),
        Column("radians an update", numeric=True),
        Column("over theory's", numeric=True, joined=True),
        Column("‖w‖", numeric=True),
        Column("over theory's", numeric=True, joined=True),
    ]
    return Table(
        "Measured over predicted, in equilibrium",
        "Time constant: updates, at the highest learning rate, after which the distance to the equilibrium "
        "is 1/e of what it was. In equilibrium: for three time constants the learning rate had changed by "
        "less than a fifth within each. Means over the reports there, over the weights of a stage and over "
        "seeds; ‖w‖ is the fourth root of the mean fourth power. Ratios: 95 % interval over seeds from three "
        "on.",
        columns,
        [Row(one.arm, _cells(one)) for one in rows],
        keys=2,
    )


def _cells(one: Equilibrium) -> list[TableCell]:
    return [
        TableCell(one.arm),
        TableCell(one.stage),
        _cell(one.time, NONE if math.isnan(one.time) else f"{one.time:,.0f}"),
        _cell(one.share, f"{100 * one.share:.0f} %"),
        _cell(one.turn, NONE if math.isnan(one.turn) else f"{one.turn:.3g}"),
        ratio_cell(one.turn_ratio),
        _cell(one.norm, NONE if math.isnan(one.norm) else f"{one.norm:.3g}"),
        ratio_cell(one.norm_ratio),
    ]


def _cell(value: float, words: str) -> TableCell:
    return TableCell(words, value)
