"""What trainings did to their scale-invariant weights: by stage of the network, and arm against arm.

Means over weights and over reports are geometric: norms and rates differ by factors, and so the ratio of two
means is the mean of the ratios.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.curves import Curve, curve_over_seeds
from wrs_mm.bench.statistics.over_seeds import Ratio, ratio_over_seeds
from wrs_mm.engine.hooks.dynamics_file import Dynamics

Array: TypeAlias = "np.ndarray[Any, Any]"

_PARTS = 4
"""A training is looked at in quarters."""

RATE = "rate"
"""The effective learning rate, lr / ‖w‖² for SGD and lr / ‖w‖ for others."""

MARGIN = 1.25
"""Effective schedules that are less than this factor apart are called the same."""


class WatchedRun(NamedTuple):
    """A run that has watched its weights.

    Attributes:
        run: The run.
        dynamics: What they did; of those that all runs beside it have, in one order.
    """

    run: RunData
    dynamics: Dynamics

    @property
    def arm(self) -> str:
        """Its arm's label."""
        return self.run.spec.arm_label

    @property
    def stages(self) -> list[str]:
        """The stages of the network, in its order."""
        return list(dict.fromkeys(self.dynamics.contents.stages))

    def of(self, quantity: str) -> Array:
        """``(reports, weights)`` of a quantity of :mod:`wrs_mm.rescaling.dynamics`, or of :data:`RATE`.

        The effective learning rate is that of a filter with the root mean square norm. The mean over filters
        says nothing of those that train where one does not: weight decay takes its norm to zero.
        """
        if quantity != RATE:
            return self.dynamics.of(quantity)
        power = 2 if self.dynamics.contents.sgd else 1
        with np.errstate(divide="ignore", invalid="ignore"):
            rate: Array = self.dynamics.of("lr") / self.dynamics.of("norm") ** power
        return rate

    def of_stage(self, values: Array, stage: str) -> Array:
        """The columns of a stage, of ``(reports, weights)``."""
        return values[:, [own == stage for own in self.dynamics.contents.stages]]


class Watched(NamedTuple):
    """The runs of a scenario that have watched their weights.

    Attributes:
        runs: Those whose weights can be compared, in the order of their arms.
        left_out: Arms that cannot, with the number of weights that they have watched.
    """

    runs: list[WatchedRun]
    left_out: dict[str, int]

    def pairs(self, arm: str) -> list[tuple[WatchedRun, WatchedRun]]:
        """Each run of an arm with the baseline's of the same seed."""
        baseline = {one.run.spec.seed: one for one in self.runs if one.run.spec.baseline}
        own = (one for one in self.runs if one.arm == arm)
        return [(one, baseline[one.run.spec.seed]) for one in own if one.run.spec.seed in baseline]

    def by_arm(self) -> dict[str, list[WatchedRun]]:
        """The runs by their arms' labels."""
        found: dict[str, list[WatchedRun]] = {}
        for one in self.runs:
            found.setdefault(one.arm, []).append(one)
        return found


def watched_runs(runs: Sequence[RunData]) -> Watched:
    """The runs of a scenario that have watched their weights, each with the weights that all of them have.

    An arm that has less than half of the baseline's is left out: with it hardly any would be left.

    Args:
        runs: Of one scenario, with their details, in the order of their arms.
    """
    measured = [(run, run.dynamics) for run in runs if run.dynamics is not None]
    listed = [(run.spec.baseline, one.contents.weights) for run, one in measured if one.contents.weights]
    wanted = max(listed, key=lambda one: (one[0], len(one[1])), default=(False, []))[1]
    kept, left_out = [], {}
    for run, dynamics in measured:
        known = dynamics.contents.weights
        if 2 * len(set(wanted) & set(known)) < max(len(wanted), 1):
            left_out[run.spec.arm_label] = len(known)
        elif len(dynamics.iterations):
            kept.append((run, dynamics))
    shared = [name for name in wanted if all(name in one.contents.weights for _, one in kept)]
    return Watched([WatchedRun(run, _only(one, shared)) for run, one in kept if shared], left_out)


def _only(dynamics: Dynamics, weights: list[str]) -> Dynamics:
    """What is known of some weights, in their order."""
    contents = dynamics.contents
    places = [contents.weights.index(name) for name in weights]
    chosen = dataclasses.replace(
        contents, weights=weights, stages=[contents.stages[place] for place in places]
    )
    return Dynamics(chosen, dynamics.iterations, dynamics.values[:, places])


def logarithm(values: Array) -> Array:
    """The logarithm of what is positive and finite; NaN of all else."""
    fit = np.isfinite(values) & (values > 0)
    return np.log(values, out=np.full(values.shape, np.nan), where=fit)


def mean(values: Array, axis: int | None = None) -> Any:
    """The mean of what is no NaN; NaN of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)


def stage_series(run: WatchedRun, values: Array, stage: str) -> dict[int, float]:
    """By iteration, the mean over the weights of a stage.

    Args:
        run: The run.
        values: ``(reports, weights)``.
        stage: The stage.
    """
    means = np.exp(mean(logarithm(run.of_stage(values, stage)), axis=1))
    pairs = zip(run.dynamics.iterations.tolist(), means.tolist(), strict=True)
    return {iteration: value for iteration, value in pairs if not math.isnan(value)}


def stage_curves(runs: Iterable[WatchedRun], quantity: str, stage: str) -> Curve:
    """A quantity of a stage over training, over the seeds of an arm.

    Args:
        runs: The arm's.
        quantity: As in :meth:`WatchedRun.of`.
        stage: The stage.
    """
    return curve_over_seeds(stage_series(run, run.of(quantity), stage) for run in runs)


class Spread(NamedTuple):
    """How far single filters turned in an update: 10 %, 50 % and 90 % of the filters of a weight no further.

    Means over the weights of a stage, over reports and over seeds; not geometric, since some filters do not
    turn at all.
    """

    low: float
    median: float
    high: float


def turn_spread(runs: Sequence[WatchedRun], stage: str, part: int) -> Spread:
    """The spread of a stage in a quarter of the training; NaN where nothing was measured.

    Args:
        runs: An arm's.
        stage: The stage.
        part: The quarter, from 0.
    """
    found = []
    for quantity in ("turn_10", "turn_50", "turn_90"):
        seeds = []
        for run in runs:
            chosen = parts_of(run.dynamics.iterations) == part
            seeds.append(mean(run.of_stage(run.of(quantity), stage)[chosen]))
        found.append(float(mean(np.array(seeds))))
    return Spread(*found)


def parts_of(iterations: Array) -> Array:
    """In which quarter of the training each report is, from 0; the last report is at the end of it."""
    return (iterations - 1) * _PARTS // iterations.max() if len(iterations) else iterations


LAST_PART = _PARTS - 1
"""The last quarter."""


class ScheduleVerdict(StrEnum):
    """Whether an arm trained with the effective schedule of the baseline."""

    SAME = "same schedule"
    OTHER = "another schedule"
    UNCLEAR = "not told apart"
    TOO_FEW_SEEDS = "too few seeds"


class ScheduleComparison(NamedTuple):
    """An arm's effective schedule against the baseline's, each seed's runs with each other.

    Attributes:
        arm: Its label.
        verdict: Whether both are the same.
        apart: The factor between their angular updates, whichever is larger: the mean over stages and
            quarters of the training.
        turns: Ratio of the angular updates in each quarter, the mean over stages.
        rates: Ratio of the effective learning rates, likewise.
        furthest: The stage where the angular updates are furthest apart over the training, and their ratio.
    """

    arm: str
    verdict: ScheduleVerdict
    apart: Ratio
    turns: list[Ratio]
    rates: list[Ratio]
    furthest: tuple[str, float]


def compare_schedules(watched: Watched) -> list[ScheduleComparison]:
    """How each arm's effective schedule stands to the baseline's; of arms that share seeds with it."""
    found = []
    for arm, runs in watched.by_arm().items():
        pairs = watched.pairs(arm)
        if pairs and not runs[0].run.spec.baseline:
            made = _comparison(arm, pairs)
            if made is not None:
                found.append(made)
    return found


def overall_ratio(pairs: Sequence[tuple[WatchedRun, WatchedRun]], quantity: str) -> Ratio:
    """How a quantity of some runs stands to that of others, the mean over stages and quarters."""
    return ratio_over_seeds([float(mean(_log_ratios(run, other, quantity))) for run, other in pairs])


def _comparison(arm: str, pairs: Sequence[tuple[WatchedRun, WatchedRun]]) -> ScheduleComparison | None:
    turns = [_log_ratios(run, other, "turn") for run, other in pairs]
    rates = [_log_ratios(run, other, RATE) for run, other in pairs]
    apart = ratio_over_seeds([float(mean(np.abs(each))) for each in turns])
    if not apart.seeds:
        return None
    by_stage = mean(np.stack([mean(each, axis=1) for each in turns]), axis=0)
    far = int(np.nanargmax(np.abs(by_stage)))
    return ScheduleComparison(
        arm,
        _verdict(apart),
        apart,
        _by_part(turns),
        _by_part(rates),
        (pairs[0][0].stages[far], math.exp(by_stage[far])),
    )


def _by_part(seeds: Sequence[Array]) -> list[Ratio]:
    """The ratio in each quarter, of ``(stages, quarters)`` logarithms a seed."""
    each = [mean(one, axis=0) for one in seeds]
    return [ratio_over_seeds([float(one[part]) for one in each]) for part in range(_PARTS)]


def _log_ratios(run: WatchedRun, other: WatchedRun, quantity: str) -> Array:
    """``(stages, quarters)`` mean logarithms of the ratio of a quantity, weight by weight."""
    iterations, mine, theirs = np.intersect1d(
        run.dynamics.iterations, other.dynamics.iterations, return_indices=True
    )
    found = np.full((len(run.stages), _PARTS), np.nan)
    if not len(iterations):
        return found
    logs = logarithm(run.of(quantity)[mine]) - logarithm(other.of(quantity)[theirs])
    parts = parts_of(iterations)
    for row, stage in enumerate(run.stages):
        own = run.of_stage(logs, stage)
        for part in range(_PARTS):
            found[row, part] = mean(own[parts == part])
    return found


def _verdict(apart: Ratio) -> ScheduleVerdict:
    """What the interval of the factor says; there is none from too few seeds."""
    if math.isnan(apart.low):
        return ScheduleVerdict.TOO_FEW_SEEDS
    if apart.high < MARGIN:
        return ScheduleVerdict.SAME
    return ScheduleVerdict.OTHER if apart.low > MARGIN else ScheduleVerdict.UNCLEAR
