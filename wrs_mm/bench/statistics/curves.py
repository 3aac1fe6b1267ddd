"""Training and validation curves of arms over their seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.benchmark import RunData, by_arm
from wrs_mm.bench.statistics.logs import Series

_MOST_POINTS = 400
"""Points of a curve that a page shows; more than a screen has pixels only makes the file large."""


class Curve(NamedTuple):
    """An arm's curve over its seeds.

    Attributes:
        steps: Iterations.
        mean: Over the seeds that got there.
        low: The lowest of them.
        high: The highest.
        seeds: How many got there.
        diverged: Iteration at which a seed diverged, and the mean there.
    """

    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    seeds: list[int]
    diverged: list[tuple[int, float]]


def loss_curves(runs: Sequence[RunData]) -> dict[str, Curve]:
    """The training loss of each arm that has logged one."""
    return _curves(runs, {run.spec.id: run.losses for run in runs})


def validation_curves(runs: Sequence[RunData], metric: str) -> dict[str, Curve]:
    """A metric at the validations of each arm that has measured it."""
    measured = {
        run.spec.id: {step: values[metric] for step, values in run.validations.items() if metric in values}
        for run in runs
    }
    return _curves(runs, measured)


def _curves(runs: Sequence[RunData], series: Mapping[str, Series]) -> dict[str, Curve]:
    """By arm."""
    made = {
        arm: curve_over_seeds((series[run.spec.id] for run in own), _diverged(own))
        for arm, own in by_arm(runs).items()
    }
    return {arm: curve for arm, curve in made.items() if curve.steps}


def _diverged(runs: Iterable[RunData]) -> list[int]:
    """At which iterations runs diverged."""
    results = [run.result for run in runs]
    return [result.iteration for result in results if result and result.status is Status.DIVERGED]


def curve_over_seeds(runs: Iterable[Mapping[int, float]], diverged: Sequence[int] = ()) -> Curve:
    """Mean and spread of several runs, thinned to what a page can show.

    Args:
        runs: Values by iteration.
        diverged: Iterations at which runs diverged.
    """
    series = [values for values in runs if values]
    steps = sorted({step for values in series for step in values})
    if len(steps) > _MOST_POINTS:
        keep = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).round().astype(int))
        steps = [steps[index] for index in keep]
    found = [[values[step] for values in series if step in values] for step in steps]
    mean = [float(np.mean(values)) for values in found]
    marks = [(step, float(np.interp(step, steps, mean))) for step in diverged] if steps else []
    return Curve(
        steps,
        mean,
        [min(values) for values in found],
        [max(values) for values in found],
        [len(values) for values in found],
        marks,
    )
