"""The arms over seeds: mean, spread, and the difference to the baseline."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from wrs_mm.bench.report.labels import (
    CHECKPOINTS,
    NONE,
    SPLITS,
    bracket,
    label,
    number,
    scenario_label,
    splits,
)
from wrs_mm.bench.report.tables.base import Column, Record, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.report.tables.settings import SettingsColumns, decay_sentences, row_of, warnings
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.statistics.benchmark import arm_order
from wrs_mm.bench.statistics.over_seeds import MIN_PAIRS, best_means, runs_by_state
from wrs_mm.bench.statistics.power import POWER, detectable_sentence, minimum_detectable_difference, pooled_sd
from wrs_mm.bench.statistics.results import is_missing, main_metrics, records
from wrs_mm.bench.statistics.tuned import ArmTrials


def comparison_tables(
    summary: pd.DataFrame, same_as_best: Collection[str] = (), tuned: Iterable[ArmTrials] = ()
) -> list[Table]:
    """The main metrics of every arm, one table a task.

    Args:
        summary: From :func:`wrs_mm.bench.statistics.over_seeds.summarize`: of one checkpoint.
        same_as_best: Tasks whose caption says that the best checkpoints have the same numbers.
        tuned: The arms that were tuned.
    """
    made = []
    for task in MAIN:
        own = summary[summary["task"] == task]
        if len(own):
            table = _comparison(task, own, [one for one in tuned if one.task == task])
            caption = f"{table.caption} {SAME}" if task in same_as_best else table.caption
            made.append(table._replace(caption=caption))
    return made


SAME = "In every run the best checkpoint has the same numbers as the last one: it has no table of its own."
"""The caption's sentence in place of a second table."""


def _comparison(task: str, summary: pd.DataFrame, tuned: Sequence[ArmTrials]) -> Table:
    rows = records(summary)
    metrics = main_metrics(task, {row["metric"] for row in rows})
    # An arm whose trials have led to no final runs (yet) has a row without numbers.
    arms = {_order(one): one for one in [*map(row_of, tuned), *rows]}
    cells: dict[tuple[Any, ...], dict[str, Record]] = {arm: {} for arm in arms}
    for record in rows:
        cells[_order(record)][record["metric"]] = record
    best = best_means(rows)
    scenario, settings = ScenarioColumns(list(arms.values())), SettingsColumns(rows, tuned)
    made = []
    for arm, one in sorted(arms.items()):
        row = [TableCell(label(one)), *scenario.cells(one)]
        for metric in metrics:
            cell = cells[arm].get(metric)
            row += [_mean_cell(cell, best), _difference_cell(cell)] if cell else [TableCell(NONE)] * 2
        row += [*settings.cells(one), _runs_cell(one) if cells[arm] else TableCell(NONE)]
        made.append(Row(label(one), row, one["recipe"]))
    keys = [Column("regularizer"), *scenario.columns()]
    measured = [
        column for m in metrics for column in (Column(m, numeric=True), Column(f"Δ {m}", True, joined=True))
    ]
    title = f"{task.capitalize()}: {CHECKPOINTS[str(summary['checkpoint'].iloc[0])]}"
    columns = [*keys, *measured, *settings.columns(), Column("runs")]
    sentences = [*decay_sentences(arms.values()), *_tuning_sentences(tuned)]
    caption = " ".join([_caption(summary), *sentences, *_power_sentences(rows, metrics[:1])])
    return Table(title, caption, columns, made, keys=len(keys))


def _tuning_sentences(tuned: Sequence[ArmTrials]) -> list[str]:
    if not tuned:
        return []
    found = (
        f"Each arm was trained at the settings of its best trial on {SPLITS['tune']}; trials are in no mean."
    )
    return [found, *warnings(tuned)]


def _power_sentences(rows: Sequence[Record], metrics: Sequence[str]) -> list[str]:
    """How small a difference each comparison could have told apart, in the main metric."""
    scenarios: dict[str, list[Record]] = {}
    for row in rows:
        if row["metric"] in metrics and row["pairs"] >= MIN_PAIRS:
            scenarios.setdefault(scenario_label(row), []).append(row)
    sentences = []
    for where, own in scenarios.items():
        pairs = [int(row["pairs"]) for row in own]
        sd = pooled_sd([row["difference_sd"] for row in own], pairs)
        found = minimum_detectable_difference(sd, max(pairs))
        said = detectable_sentence(found, max(pairs), metrics[0], subject="this comparison")
        often = f"in {100 * POWER:.0f} % of such comparisons"
        sentences.append(f"{where}: {said} {often} (paired differences: sd {number(sd)}).")
    return sentences


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
