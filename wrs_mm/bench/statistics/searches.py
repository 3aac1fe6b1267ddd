"""The search of each arm as arrays: its trials on tune and test, and the final runs at the settings found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from wrs_mm.bench.plan.search import LR, Choices, Space
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.landscape import Landscape, landscape
from wrs_mm.bench.statistics.over_trials import BestOfK, best_of_k
from wrs_mm.bench.statistics.selection import Arm, Choice, Trial, by_arm, choices


@dataclass(frozen=True)
class Search:
    """An arm's trials that are through, and its final runs.

    Attributes:
        metric: What is measured.
        numbers: Of the trials, ascending.
        settings: Of each trial.
        tune: Mean over a trial's seeds on tune, NaN where one diverged.
        test: The same on test.
        seeds: Of each trial.
        best: Index of the chosen trial; None while one waits, and where all diverged.
        finals: Metric on test of the final runs that are done, by seed.
    """

    metric: str
    numbers: tuple[int, ...]
    settings: tuple[Mapping[str, Any], ...]
    tune: tuple[float, ...]
    test: tuple[float, ...]
    seeds: int
    best: int | None
    finals: Mapping[int, float]

    def best_of_k(self) -> list[BestOfK]:
        """The expected test metric of the best of k trials on tune; see :mod:`.over_trials`."""
        rates = [one.get(LR, 0.0) for one in self.settings]
        return best_of_k(self.tune, self.test, rates)

    def landscape(self, space: Space) -> Landscape | None:
        """What is known of the arm's metric over its search space; None before the final runs are there.

        Args:
            space: The values of each setting that the arm is tuned in.
        """
        if self.best is None:
            return None
        points = np.array([coordinates(space, one) for one in self.settings]).reshape(len(self.settings), -1)
        return landscape(points, self.tune, self.test, self.best, list(self.finals.values()), self.seeds)


def coordinates(space: Space, settings: Mapping[str, Any]) -> list[float]:
    """Where settings are in a search space, each from 0 to 1 on the scale on which it is drawn.

    Choices stand at the middles of equal parts, in their order.
    """
    return [
        (values.choices.index(settings[name]) + 0.5) / len(values.choices)
        if isinstance(values, Choices)
        else values.share(settings[name])
        for name, values in space.items()
    ]


def searches(runs: Iterable[Trial]) -> dict[Arm, Search]:
    """The search of each arm in each scenario.

    Args:
        runs: All runs of a benchmark with their results. Arms without trials that were measured on test are
            left out.
    """
    grouped = by_arm(runs)
    chosen = choices(run for own in grouped.values() for run in own)
    found = {arm: _search(grouped[arm], choice) for arm, choice in chosen.items()}
    return {arm: one for arm, one in found.items() if one is not None}


def _search(runs: list[Trial], choice: Choice) -> Search | None:
    numbers = sorted(choice.scores)
    if choice.metric is None or not numbers:
        return None
    tune = [_or_nan(choice.scores[number]) for number in numbers]
    test = [_on_test(runs, number, choice.metric) for number in numbers]
    if any(math.isnan(there) and not math.isnan(here) for here, there in zip(tune, test, strict=True)):
        return None
    chosen = {} if choice.trial is None else choice.points[choice.trial]
    return Search(
        metric=choice.metric,
        numbers=tuple(numbers),
        settings=tuple(choice.points[number] for number in numbers),
        tune=tuple(tune),
        test=tuple(test),
        seeds=max(sum(spec.trial == number for spec, _ in runs) for number in numbers),
        best=None if choice.trial is None else numbers.index(choice.trial),
        finals={
            spec.seed: result.test[choice.metric]
            for spec, result in runs
            if chosen and result and _is_final(spec, result, chosen) and choice.metric in result.test
        },
    )


def _is_final(spec: RunSpec, result: Result, chosen: Mapping[str, Any]) -> bool:
    """Whether a run was made at the settings that were chosen, and is done."""
    same = all(spec.settings.get(name) == value for name, value in chosen.items())
    return spec.trial is None and same and result.status is Status.DONE


def _on_test(runs: list[Trial], number: int, metric: str) -> float:
    values = [result.test.get(metric, math.nan) for spec, result in runs if result and spec.trial == number]
    return fmean(values) if values else math.nan


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
