"""The question of a benchmark and its answer in plain words, one sentence an arm."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd

from wrs_mm.bench.report.labels import SPLITS, label, number, scenario_label
from wrs_mm.bench.statistics.over_images import without_zero
from wrs_mm.bench.statistics.over_seeds import ArmVerdict, verdict
from wrs_mm.bench.statistics.results import main_metrics, records
from wrs_mm.values import several


class Answer(NamedTuple):
    """How one arm stands to the baseline.

    Attributes:
        arm: Its label.
        where: The recipe, and what else the comparison was made with.
        verdict: Better, worse, or why neither can be said.
        sentence: The same with its numbers.
    """

    arm: str
    where: str
    verdict: ArmVerdict
    sentence: str


def answers(summary: pd.DataFrame, images: pd.DataFrame) -> list[Answer]:
    """Answers for every arm that was compared.

    Args:
        summary: Over seeds, of one checkpoint.
        images: The intervals over images, of the last checkpoints.
    """
    rows, over_images = records(summary), records(images)
    baselines = {scenario_label(row): label(row) for row in rows if row["baseline"]}
    measured: dict[str, set[str]] = {}
    for row in rows:
        measured.setdefault(row["recipe"], set()).add(row["metric"])
    found = []
    for row in rows:
        main = main_metrics(row["task"], measured[row["recipe"]])[:1]
        if [row["metric"]] != main or math.isnan(row["difference"]):
            continue
        same = [one for one in over_images if _key(one) == _key(row)]
        found.append(_answer(row, baselines.get(scenario_label(row), "the baseline"), same))
    return found


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return scenario_label(row), label(row), row["metric"]


def _answer(row: dict[str, Any], baseline: str, images: list[dict[str, Any]]) -> Answer:
    found = verdict(row["low"], row["high"])
    if found is ArmVerdict.TOO_FEW_SEEDS:
        sure = f"from {several(row['pairs'], 'seed')}, too few to say how sure that is"
    else:
        inside = " and includes 0" if found is ArmVerdict.NOT_TOLD_APART else ""
        sure = (
            f"over {row['pairs']} seeds the 95 % interval is [{number(row['low'], True)}, "
            f"{number(row['high'], True)}]{inside}"
        )
    sentence = (
        f"{label(row)}: {number(row['difference'], True)} points of {row['metric']} against {baseline}; "
        f"{sure}."
    )
    if images:
        sentence += (
            f" Over the images of {SPLITS[row['split']]}, intervals without 0: {without_zero(images)} of "
            f"{several(len(images), 'pair')} of runs."
        )
    if row["diverged"]:
        sentence += f" {row['diverged']} of its {row['runs']} runs diverged."
    return Answer(label(row), scenario_label(row), found, sentence)
