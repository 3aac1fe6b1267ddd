"""The best value of each swept option, and what one step away from it costs."""

from __future__ import annotations

import math
from collections.abc import Collection

import pandas as pd

from wrs_mm.bench.plan.spec import short_name
from wrs_mm.bench.report.labels import AXES, CHECKPOINTS, NONE, bracket, number, plain, splits
from wrs_mm.bench.report.tables.base import Column, Record, Row, Table, TableCell
from wrs_mm.bench.report.tables.over_seeds import SAME
from wrs_mm.bench.statistics.over_sweeps import step_from_best
from wrs_mm.bench.statistics.results import records


def sweep_tables(sweeps: pd.DataFrame, same_as_best: Collection[str] = ()) -> list[Table]:
    """The best value of each swept option and what one step costs.

    Args:
        sweeps: From :func:`wrs_mm.bench.statistics.over_sweeps.sweeps`: of one checkpoint.
        same_as_best: Tasks whose best checkpoints have the same numbers; where that is all of them, the
            caption says so.
    """
    rows = records(sweeps)
    if not rows:
        return []
    optimizers = len({row["optimizer"] for row in rows}) > 1
    body = []
    for row in rows:
        name = short_name(row["regularizer"])
        cells = [TableCell(name)]
        cells += [TableCell(row["optimizer"])] if optimizers else []
        cells += [TableCell(AXES.get(row["axis"], row["axis"]) or "nothing to tune")]
        cells += [TableCell(plain(row["best"]), row["best"]), TableCell(row["metric"])]
        cells += [TableCell(f"{number(row['mean'])} ± {number(row['sd'])}", row["mean"])]
        cells += [_step_cell(row, side) for side in ("below", "above")]
        body.append(Row(name, cells, row["recipe"]))
    keys = [Column("regularizer"), *([Column("optimizer")] if optimizers else []), Column("option")]
    columns = [*keys, Column("best value", numeric=True), Column("metric")]
    columns += [Column(name, numeric=True) for name in ("at the best", "one step below", "one step above")]
    which = CHECKPOINTS[str(sweeps["checkpoint"].iloc[0])]
    caption = (
        f"Percent on {splits(sweeps)}, of each run's {which}: the best value of each option, all others as "
        "at the best point, and how many points are lost one step of the sweep away from it, paired by seed"
        + (" (95 % interval in brackets)" if (sweeps[["below_low", "above_low"]].notna().any().any()) else "")
        + ". The best value was chosen by the images that it is measured on."
    )
    if set(sweeps["task"]) <= set(same_as_best):
        caption += f" {SAME}"
    return [Table(f"Sensitivity: {which}", caption, columns, body, keys=len(keys))]


def _step_cell(row: Record, side: str) -> TableCell:
    if not row["axis"]:
        return TableCell(NONE)
    step = step_from_best(row, side)
    if step is None:
        return TableCell("edge of the sweep")
    parts = [] if math.isnan(step.change) else [number(step.change, sign=True)]
    parts += [f"{step.diverged} diverged"] if step.diverged else []
    text = f"{', '.join(parts) or NONE} at {plain(step.value)}"
    return TableCell(text, step.change, interval=bracket(step.low, step.high))
