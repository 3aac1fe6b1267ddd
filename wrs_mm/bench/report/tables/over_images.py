"""The differences between runs with their intervals over images."""

from __future__ import annotations

import pandas as pd

from wrs_mm.bench.report.labels import NONE, bracket, label, number, splits
from wrs_mm.bench.report.tables.base import Column, Record, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.statistics.results import records


def image_tables(intervals: pd.DataFrame) -> list[Table]:
    """The differences to the baseline with their intervals over images, one table a task.

    Args:
        intervals: From :func:`wrs_mm.bench.statistics.over_images.image_intervals`.
    """
    tasks = ((task, intervals[intervals["task"] == task]) for task in MAIN)
    return [_image_table(task, own) for task, own in tasks if len(own)]


def _image_table(task: str, intervals: pd.DataFrame) -> Table:
    rows = records(intervals)
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    scenario = ScenarioColumns(rows)
    by_run: dict[str, dict[str, Record]] = {}
    for row in rows:
        by_run.setdefault(row["run"], {})[row["metric"]] = row
    body = []
    for cells in by_run.values():
        one = next(iter(cells.values()))
        row_cells = [TableCell(label(one)), *scenario.cells(one), TableCell(str(one["seed"]), one["seed"])]
        row_cells += [_image_cell(cells.get(metric)) for metric in metrics]
        row_cells.append(TableCell(str(one["images"]), one["images"]))
        body.append(Row(label(one), row_cells, one["recipe"]))
    keys = [Column("regularizer"), *scenario.columns(), Column("seed", numeric=True)]
    columns = [*keys, *(Column(f"Δ {metric}", numeric=True) for metric in metrics), Column("images", True)]
    caption = (
        "Points of difference to the baseline's run of the same seed, last checkpoints, and in brackets "
        f"the 95 % interval of a paired bootstrap over the images of {splits(intervals)} "
        f"({int(rows[0]['resamples'])} resamples, percentiles). It covers which images were drawn. It does "
        "not cover the seed: another training of the same arm may differ by more."
    )
    title = f"{task.capitalize()}: how far it depends on the images"
    return Table(title, caption, columns, body, keys=len(keys))


def _image_cell(row: Record | None) -> TableCell:
    if row is None:
        return TableCell(NONE)
    interval = bracket(row["low"], row["high"])
    return TableCell(number(row["difference"], sign=True), row["difference"], interval=interval)
