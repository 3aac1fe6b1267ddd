"""What trainings did to their scale-invariant weights, arm by arm, in a few numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wrs_mm.bench.statistics.benchmark import RunData, by_arm
from wrs_mm.bench.statistics.dynamics import RATE, Watched, WatchedRun, logarithm, mean, overall_ratio
from wrs_mm.bench.statistics.over_seeds import Effect, Ratio, effect_over, mean_and_sd, ratio_over_seeds


class ArmWeights(NamedTuple):
    """An arm.

    Attributes:
        arm: Its label.
        seeds: How many of its runs are in it.
        is_baseline: Whether the others are compared with it.
        norm: The norm at the last report over that at the first: geometric means over weights and seeds.
        rate: Its effective learning rate over the baseline's, the mean over stages and quarters.
        turn: Its angular update, likewise.
        noise_start: Share of the filters' energy that no patch reaches before training: mean and standard
            deviation over seeds, of the layers that were looked at.
        noise_end: After it.
        noise: The latter against the baseline's, paired by seed.
    """

    arm: str
    seeds: int
    is_baseline: bool
    norm: Ratio
    rate: Ratio
    turn: Ratio
    noise_start: tuple[float, float]
    noise_end: tuple[float, float]
    noise: Effect


_NOTHING = Ratio(math.nan, math.nan, math.nan, 0)


def arm_weights(runs: Sequence[RunData], watched: Watched) -> list[ArmWeights]:
    """Arm by arm; of those that have watched their weights, or measured their noise.

    Args:
        runs: Of one scenario, in the order of their arms.
        watched: Those that have watched their weights.
    """
    norms = {arm: _norm(own) for arm, own in watched.by_arm().items()}
    baseline = _ends(run for run in runs if run.spec.baseline)
    found = []
    for arm, own in by_arm(runs).items():
        ends = _ends(own)
        if arm not in norms and not ends:
            continue
        is_baseline = own[0].spec.baseline
        pairs = [] if is_baseline else watched.pairs(arm)
        shared = [] if is_baseline else sorted(ends.keys() & baseline.keys())
        found.append(
            ArmWeights(
                arm,
                max(len(ends), norms.get(arm, _NOTHING).seeds),
                is_baseline,
                norms.get(arm, _NOTHING),
                overall_ratio(pairs, RATE),
                overall_ratio(pairs, "turn"),
                mean_and_sd([run.weight_noise[0].share for run in own if _is_measured(run)]),
                mean_and_sd(list(ends.values())),
                effect_over([ends[seed] - baseline[seed] for seed in shared]),
            )
        )
    return found


def _norm(runs: Sequence[WatchedRun]) -> Ratio:
    logs = []
    for run in runs:
        norms = logarithm(run.of("norm"))
        logs.append(float(mean(norms[-1] - norms[0])))
    return ratio_over_seeds(logs)


def _is_measured(run: RunData) -> bool:
    """Whether the noise of any layer is known, before and after."""
    return len(run.weight_noise) > 1 and all(one.layers for one in run.weight_noise)


def _ends(runs: Iterable[RunData]) -> Mapping[int, float]:
    """By seed, the share after training."""
    return {run.spec.seed: run.weight_noise[-1].share for run in runs if _is_measured(run)}
