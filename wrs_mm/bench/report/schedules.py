"""Did the arms train with the same effective schedule? One sentence an arm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from wrs_mm.bench.report.labels import factor, factors
from wrs_mm.bench.statistics.dynamics import ScheduleComparison, ScheduleVerdict, Watched, compare_schedules
from wrs_mm.bench.statistics.over_seeds import Ratio
from wrs_mm.values import several


class ScheduleAnswer(NamedTuple):
    """How an arm's effective schedule stands to the baseline's.

    Attributes:
        arm: Its label.
        verdict: The same, another, or why neither can be said.
        sentence: The same with its numbers.
    """

    arm: str
    verdict: ScheduleVerdict
    sentence: str


def schedule_answers(watched: Watched) -> list[ScheduleAnswer]:
    """Answers for every arm that shares seeds with the baseline, and watched weights."""
    baseline = next((one.arm for one in watched.runs if one.run.spec.baseline), "the baseline")
    return [
        ScheduleAnswer(one.arm, one.verdict, _sentence(one, baseline)) for one in compare_schedules(watched)
    ]


def _sentence(one: ScheduleComparison, baseline: str) -> str:
    apart = one.apart
    if math.isnan(apart.low):
        sure = f"from {several(apart.seeds, 'seed')}, too few to say how sure that is"
    else:
        sure = f"over {apart.seeds} seeds the 95 % interval is {factors(apart.low, apart.high)}"
    stage, ratio = one.furthest
    return (
        f"{one.arm}: a factor of {factor(apart.value)} from {baseline} in angular update; {sure}. By "
        f"quarters of the training: {_listed(one.turns)} times as far, at {_listed(one.rates)} times the "
        f"effective learning rate; furthest apart in {stage}, {factor(ratio)} times as far."
    )


def _listed(ratios: Sequence[Ratio]) -> str:
    return ", ".join(factor(one.value) for one in ratios)
