"""The question of a benchmark and its answer in plain words, one sentence an arm."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd

from wrs_mm.bench.report.tables import label, number, records, setting
from wrs_mm.bench.runs.metrics import MAIN


class Answer(NamedTuple):
    """How one arm stands to the baseline.

    Attributes:
        arm: Its label.
        where: The recipe, and what else the comparison was made with.
        verdict: ``better``, ``worse``, ``not told apart`` or ``too few seeds``.
        sentence: The same with its numbers.
    """

    arm: str
    where: str
    verdict: str
    sentence: str


def answers(summary: pd.DataFrame, images: pd.DataFrame) -> list[Answer]:
    """Answers for every arm that was compared.

    Args:
        summary: Over seeds, of one checkpoint.
        images: The intervals over images, of the last checkpoints.
    """
    rows, over_images = records(summary), records(images)
    found = []
    baselines = {setting(row): label(row) for row in rows if row["baseline"]}
    for row in rows:
        main = next(
            (name for name in MAIN[row["task"]] if any(_same(row, other, name) for other in rows)), None
        )
        if row["metric"] != main or math.isnan(row["difference"]):
            continue
        own = [
            one
            for one in over_images
            if (setting(one), label(one), one["metric"]) == (setting(row), label(row), row["metric"])
        ]
        found.append(_answer(row, baselines.get(setting(row), "the baseline"), own))
    return found


def _answer(row: dict[str, Any], baseline: str, images: list[dict[str, Any]]) -> Answer:
    difference, pairs = row["difference"], row["pairs"]
    if math.isnan(row["low"]):
        verdict = "too few seeds"
        sure = f"from {pairs} seed{'s' if pairs > 1 else ''}, too few to say how sure that is"
    else:
        verdict = "better" if row["low"] > 0 else "worse" if row["high"] < 0 else "not told apart"
        inside = " and includes 0" if verdict == "not told apart" else ""
        sure = (
            f"over {pairs} seeds the 95 % interval is [{number(row['low'], True)}, "
            f"{number(row['high'], True)}]{inside}"
        )
    sentence = (
        f"{label(row)}: {number(difference, True)} points of {row['metric']} against {baseline}; {sure}."
    )
    if images:
        apart = sum(one["low"] > 0 or one["high"] < 0 for one in images)
        sentence += (
            f" Over the validation images, intervals without 0: {apart} of {len(images)} pair"
            f"{'s' if len(images) > 1 else ''} of runs."
        )
    if row["diverged"]:
        sentence += f" {row['diverged']} of its {row['runs']} runs diverged."
    return Answer(label(row), setting(row), verdict, sentence)


def _same(row: dict[str, Any], other: dict[str, Any], metric: str) -> bool:
    return bool(row["recipe"] == other["recipe"] and other["metric"] == metric)
