"""Which settings an arm's trials have shown to be its best: chosen on ``tune``, whatever tables report.

A choice is made once every trial has a final result, and depends on nothing else, so whoever reads the same
folders makes the same one. A trial that has diverged counts as one, and never wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeAlias

from wrs_mm.bench.plan.search import LR
from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.runs.records import Result, Status

Arm: TypeAlias = tuple[Scenario, str]
"""A scenario and the label of an arm in it: what is tuned by itself."""

Trial: TypeAlias = "tuple[RunSpec, Result | None]"
"""A run that looks for settings, and its result, if it has one."""


@dataclass(frozen=True)
class Choice:
    """What the trials of an arm have shown so far.

    Attributes:
        scores: Of each trial whose runs are all final, by its number, the mean of the recipe's metric over
            its seeds; None where one of them has diverged, was stopped or has not measured it.
        points: The settings of each trial, by its number.
        waiting: The runs without a final result.
        metric: What scores are; None before it was measured.
    """

    scores: Mapping[int, float | None]
    points: Mapping[int, Mapping[str, Any]]
    waiting: tuple[RunSpec, ...]
    metric: str | None

    @property
    def trial(self) -> int | None:
        """The number of the best trial, of equal ones that with the smallest lr.

        None while a trial waits, and where none has a score.
        """
        scored = {number: score for number, score in self.scores.items() if score is not None}
        if self.waiting or not scored:
            return None
        return ranked(scored, self.points)[0]

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """The best trial's settings; None where there is none (yet)."""
        return None if self.trial is None else self.points[self.trial]

    @property
    def hopeless(self) -> bool:
        """Whether all trials are through, and none has a score."""
        return not self.waiting and all(score is None for score in self.scores.values())


def ranked(scores: Mapping[int, float], points: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """The numbers of trials, the best first; of equal ones that with the smallest lr.

    Args:
        scores: By number.
        points: Their settings, by number.
    """
    return sorted(scores, key=lambda number: (-scores[number], points[number].get(LR, math.inf), number))


def choose(trials: Sequence[Trial]) -> Choice:
    """What the trials of one arm have shown.

    Args:
        trials: The arm's runs that look for settings, all of them.
    """
    by_number: dict[int, list[Trial]] = {}
    for spec, result in trials:
        if spec.trial is not None:
            by_number.setdefault(spec.trial, []).append((spec, result))
    metric = _metric(result for _, result in trials if result is not None)
    waiting = tuple(spec for spec, result in trials if result is None or not result.status.final)
    open_numbers = {spec.trial for spec in waiting}
    return Choice(
        scores={
            number: _score([result for _, result in own], metric)
            for number, own in by_number.items()
            if number not in open_numbers
        },
        points={number: own[0][0].settings for number, own in by_number.items()},
        waiting=waiting,
        metric=metric,
    )


def arm_of(spec: RunSpec) -> Arm:
    """The arm that a run belongs to."""
    return spec.scenario, spec.arm_label


def by_arm(runs: Iterable[Trial]) -> dict[Arm, list[Trial]]:
    """Runs by their arms, trials and final runs alike."""
    found: dict[Arm, list[Trial]] = {}
    for spec, result in runs:
        found.setdefault(arm_of(spec), []).append((spec, result))
    return found


def choices(runs: Iterable[Trial]) -> dict[Arm, Choice]:
    """What the trials of each arm in each scenario have shown.

    Args:
        runs: All runs of a benchmark; those that are no trials are left out.
    """
    trials = by_arm((spec, result) for spec, result in runs if spec.trial is not None)
    return {arm: choose(own) for arm, own in trials.items()}


def _metric(results: Iterable[Result]) -> str | None:
    """The main metric of a task, among those that were measured."""
    measured: dict[str, set[str]] = {}
    for result in results:
        measured.setdefault(result.task, set()).update(result.metrics)
    return next(
        (metric for task, names in measured.items() for metric in MAIN.get(task, ()) if metric in names), None
    )


def _score(results: Sequence[Result | None], metric: str | None) -> float | None:
    # What a stopped trial measured on its way is no score.
    done = [result if result and result.status is Status.DONE else None for result in results]
    values = [result.metrics.get(metric) if result and metric else None for result in done]
    measured = [value for value in values if value is not None]
    return fmean(measured) if measured and len(measured) == len(values) else None
