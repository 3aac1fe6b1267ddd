"""Learning curves: what runs measured on training images and on tune during training, and the gap between.

Whether a training had ended when it stopped, and how much of what it learned holds for other images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.benchmark import RunData, by_arm
from wrs_mm.bench.statistics.curves import Curve, curve_over_seeds
from wrs_mm.bench.statistics.logs import Series
from wrs_mm.bench.statistics.over_seeds import mean_and_sd


class Gap(NamedTuple):
    """The generalization gap of an arm: train − tune at the end of training, over seeds.

    Attributes:
        seeds: Runs that are done and have measured both after their last update.
        train: Mean on training images.
        tune: Mean on tune.
        mean: Mean of the gap; NaN without seeds.
        sd: Its standard deviation (n − 1); NaN from one.
    """

    seeds: int
    train: float
    tune: float
    mean: float
    sd: float


class Learning(NamedTuple):
    """An arm's metric during training.

    Attributes:
        train: On training images, over seeds.
        tune: On tune, over seeds.
        train_seeds: The same seed by seed.
        tune_seeds: Likewise.
        gap: Between both at the end.
    """

    train: Curve
    tune: Curve
    train_seeds: list[Series]
    tune_seeds: list[Series]
    gap: Gap


def learning_curves(runs: Sequence[RunData], metric: str) -> dict[str, Learning]:
    """The learning curves of each arm that has measured the metric on training images.

    Args:
        runs: Of one scenario, with their details.
        metric: Its name.
    """
    found = {}
    for arm, own in by_arm(runs).items():
        train = [{step: m[metric] for step, m in r.train_validations.items() if metric in m} for r in own]
        tune = [{step: m[metric] for step, m in r.validations.items() if metric in m} for r in own]
        if not any(train):
            continue
        found[arm] = Learning(
            curve_over_seeds(train),
            curve_over_seeds(tune),
            [series for series in train if series],
            [series for series in tune if series],
            _gap(own, train, tune),
        )
    return found


def _gap(runs: Sequence[RunData], train: Sequence[Series], tune: Sequence[Series]) -> Gap:
    ends = []
    for run, on_train, on_tune in zip(runs, train, tune, strict=True):
        last = run.result.iteration if run.result and run.status is Status.DONE else None
        if last in on_train and last in on_tune:
            ends.append((on_train[last], on_tune[last]))
    mean, sd = mean_and_sd([one - other for one, other in ends])
    sides = [mean_and_sd(list(side))[0] for side in zip(*ends, strict=True)] or [math.nan, math.nan]
    return Gap(len(ends), sides[0], sides[1], mean, sd)
