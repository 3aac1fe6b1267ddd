"""The arms over seeds: mean, spread, and the difference to the baseline."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from wrs_mm.bench.report.labels import CHECKPOINTS, NONE, bracket, label, number, splits
from wrs_mm.bench.report.tables.base import Column, Record, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.statistics.benchmark import arm_order
from wrs_mm.bench.statistics.over_seeds import MIN_PAIRS, best_means, runs_by_state
from wrs_mm.bench.statistics.results import is_missing, main_metrics, records


def comparison_tables(summary: pd.DataFrame, same_as_best: Collection[str] = ()) -> list[Table]:
    """The main metrics of every arm, one table a task.

    Args:
        summary: From :func:`wrs_mm.bench.statistics.over_seeds.summarize`: of one checkpoint.
        same_as_best: Tasks whose caption says that the best checkpoints have the same numbers.
    """
    made = []
    for task in MAIN:
        own = summary[summary["task"] == task]
        if len(own):
            table = _comparison(task, own)
            caption = f"{table.caption} {SAME}" if task in same_as_best else table.caption
            made.append(table._replace(caption=caption))
    return made


SAME = "In every run the best checkpoint has the same numbers as the last one: it has no table of its own."
"""The caption's sentence in place of a second table."""


def _comparison(task: str, summary: pd.DataFrame) -> Table:
    rows = records(summary)
    metrics = main_metrics(task, {row["metric"] for row in rows})
    by_arm: dict[tuple[Any, ...], dict[str, Record]] = {}
    for record in rows:
        by_arm.setdefault(_order(record), {})[record["metric"]] = record
    best = best_means(rows)
    scenario = ScenarioColumns(rows)
    made = []
    for arm in sorted(by_arm):
        cells = by_arm[arm]
        one = next(iter(cells.values()))
        row = [TableCell(label(one)), *scenario.cells(one)]
        for metric in metrics:
            cell = cells.get(metric)
            row += [_mean_cell(cell, best), _difference_cell(cell)] if cell else [TableCell(NONE)] * 2
        made.append(Row(label(one), [*row, _runs_cell(one)], one["recipe"]))
    keys = [Column("regularizer"), *scenario.columns()]
    measured = [
        column for m in metrics for column in (Column(m, numeric=True), Column(f"Δ {m}", True, joined=True))
    ]
    title = f"{task.capitalize()}: {CHECKPOINTS[str(summary['checkpoint'].iloc[0])]}"
    columns = [*keys, *measured, Column("runs")]
    return Table(title, _caption(summary), columns, made, keys=len(keys))


def _caption(summary: pd.DataFrame) -> str:
    """What the numbers of a comparison are."""
    which = "last" if (summary["checkpoint"] == "last").all() else "best"
    text = (
        f"Percent on {splits(summary)}, of each run's {which} checkpoint: mean ± standard deviation over "
        "seeds; Δ: the mean ± standard deviation of the difference to the baseline, paired by seed"
    )
    if (summary["pairs"] >= MIN_PAIRS).any():
        text += ", with its 95 % interval in brackets (Student's t over the paired differences)"
    text += "."
    if which == "best":
        text += (
            " The best checkpoint was chosen by the validation images that it is measured on, so these "
            "numbers are optimistic."
        )
    pairs = summary.loc[~summary["baseline"] & (summary["pairs"] > 0), "pairs"]
    if (summary["seeds"] == 1).any():
        text += (
            f" «{NONE}» stands for a standard deviation that one seed does not have: a difference from one "
            "seed may be chance."
        )
    elif len(pairs) and (pairs < MIN_PAIRS).any():
        text += " There is no interval from fewer than 3 seeds."
    return text


def _mean_cell(row: Record, best: Mapping[tuple[str, str], float]) -> TableCell:
    if math.isnan(row["mean"]):
        return TableCell(NONE)
    text = f"{number(row['mean'])} ± {number(row['sd'])}"
    return TableCell(text, row["mean"], best.get((row["recipe"], row["metric"])) == row["mean"])


def _difference_cell(row: Record) -> TableCell:
    if row["baseline"]:
        return TableCell("baseline")
    if math.isnan(row["difference"]):
        return TableCell(NONE)
    text = f"{number(row['difference'], sign=True)} ± {number(row['difference_sd'])}"
    return TableCell(text, row["difference"], interval=bracket(row["low"], row["high"]))


def _runs_cell(row: Record) -> TableCell:
    """How many seeds are in the means, and what became of the other runs."""
    return TableCell(", ".join(f"{count} {state}" for state, count in runs_by_state(row).items()))


def _order(row: Record) -> tuple[Any, ...]:
    # The arms in the order in which a reader wants them: what the others are compared with first.
    rate = row["learning_rate"]
    return (
        row["recipe"],
        row["optimizer"],
        -math.inf if is_missing(rate) else float(rate),
        not row["baseline"],
        arm_order(row["regularizer"], json.loads(row["options"])),
    )
