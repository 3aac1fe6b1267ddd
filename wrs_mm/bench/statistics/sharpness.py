"""How sharp the loss of arms was over training, beside the edge of stability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from wrs_mm.bench.runs.sharpness import Measurement
from wrs_mm.bench.statistics.benchmark import RunData, by_arm
from wrs_mm.bench.statistics.logs import Series
from wrs_mm.bench.statistics.over_seeds import Ratio, mean_and_sd, ratio_over_seeds


class Space(NamedTuple):
    """In what a loss is sharp.

    Attributes:
        name: What readers call it.
        sharpness: The field of a measurement.
        edge: The field of what the optimizer's steps could follow.
    """

    name: str
    sharpness: str
    edge: str


SPACES = (
    Space("sharpness", "sharpness", "stable"),
    Space("sharpness on the sphere", "sphere", "sphere_stable"),
)
"""All parameters, and the unit sphere of the scale-invariant filters."""


class LastSharpness(NamedTuple):
    """An arm at the last iteration at which one of its seeds has measured.

    Attributes:
        arm: Its label.
        iteration: Which that is.
        seeds: How many seeds have measured there.
        values: For each of :data:`SPACES`, mean and standard deviation over them; NaN where there is none.
        ratios: For each of them, the geometric mean of sharpness over edge at all measurements at which the
            learning rate was at least a tenth of its largest; NaN where there is no edge.
    """

    arm: str
    iteration: int
    seeds: int
    values: list[tuple[float, float]]
    ratios: list[Ratio]


def sharp_runs(runs: Sequence[RunData]) -> list[RunData]:
    """Those that have measured their sharpness."""
    return [run for run in runs if run.sharpness]


def series(run: RunData, field: str) -> Series:
    """A field of a run's measurements by iteration, where it has a number."""
    values = {one.iteration: getattr(one, field) for one in run.sharpness}
    return {iteration: value for iteration, value in values.items() if value is not None}


def last_sharpness(runs: Sequence[RunData]) -> list[LastSharpness]:
    """Arm by arm.

    Args:
        runs: Of one scenario, that have measured their sharpness, in the order of their arms.
    """
    return [_last(arm, own) for arm, own in by_arm(runs).items()]


def _last(arm: str, runs: Sequence[RunData]) -> LastSharpness:
    iteration = max(run.sharpness[-1].iteration for run in runs)
    # A seed that ended earlier ended at another learning rate, and so at another edge.
    there = [run.sharpness[-1] for run in runs if run.sharpness[-1].iteration == iteration]
    values, ratios = [], []
    for space in SPACES:
        known = [value for one in there if (value := getattr(one, space.sharpness)) is not None]
        values.append(mean_and_sd(known))
        ratios.append(ratio_over_seeds([_mean_log_ratio(run, space) for run in runs]))
    return LastSharpness(arm, iteration, len(there), values, ratios)


_WHILE = 10.0
"""The edge goes with one over the learning rate. From a tenth of its largest on down, a schedule is over, and
every loss is far below the edge."""


def _mean_log_ratio(run: RunData, space: Space) -> float:
    """The mean logarithm of sharpness over edge while a run trained; NaN where none is known.

    What stands before the first update is of no training.
    """
    edges = [one.stable for one in run.sharpness if one.stable]
    while_training = [
        one for one in run.sharpness if one.iteration and one.stable and one.stable <= _WHILE * min(edges)
    ]
    known = [ratio for one in while_training if not math.isnan(ratio := _log_ratio(one, space))]
    return math.fsum(known) / len(known) if known else math.nan


def _log_ratio(one: Measurement, space: Space) -> float:
    """The logarithm of sharpness over edge; NaN where either is unknown, or the loss is nowhere convex."""
    value, edge = getattr(one, space.sharpness), getattr(one, space.edge)
    return math.log(value / edge) if value is not None and value > 0 and edge else math.nan
