"""Where theory says that weight decay takes filters, beside what runs have measured.

The equations are :mod:`wrs_mm.rescaling.equilibrium`'s. They speak of a training whose learning rate holds
still for long enough; which reports those are, theory says too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wrs_mm.bench.statistics.dynamics import Array, Watched, WatchedRun, logarithm, mean
from wrs_mm.bench.statistics.over_seeds import Ratio, ratio_over_seeds
from wrs_mm.rescaling.equilibrium import LAWS, equilibrium_norm, equilibrium_turn, updates_to_equilibrium

_STILL = 0.2
"""A learning rate holds still where it changes by no more than this share within one time constant."""

_TIMES = 3.0
"""Time constants that it must have held still for at least."""

_LEFT = 0.2
"""How far from its equilibrium a weight may still be, as a share of it.

Of SGD's ‖w‖⁴, which is 5 % of the norm, and of AdamW's ‖w‖².
"""

_REPORTS = 5
"""Single reports measure one batch's gradient: its square is averaged over as many as these."""


class Prediction(NamedTuple):
    """What theory predicts for a run, each ``(reports, weights)``; NaN for weights without decay.

    Attributes:
        turn: The angular update.
        norm: The fourth root of the mean fourth power of norms; NaN where theory does not say it.
        reached: Whether the weight has had the time to get there.
    """

    turn: Array
    norm: Array
    reached: Array


def predicted(run: WatchedRun) -> Prediction | None:
    """The equilibria of a run's weights; None where no law is known or none of them has weight decay."""
    law, of = run.dynamics.contents.law, run.of
    lr, decay, momentum = of("lr"), of("weight_decay"), of("momentum")
    decayed = (decay > 0) & (lr > 0)
    if law not in LAWS or not decayed.any():
        return None
    lr, decay = (np.where(decayed, values, np.nan) for values in (lr, decay))
    norm = np.full(lr.shape, np.nan)
    if law == "sgd":
        squared = _moving_mean(np.square(of("unit_gradient")))
        norm = equilibrium_norm(lr, decay, momentum, squared)
    turn = equilibrium_turn(law, lr, decay, momentum)
    times = updates_to_equilibrium(law, lr, decay, momentum)
    # An update turns a filter by what goes with 1 / ‖w‖² under SGD, with 1 / ‖w‖ under AdamW: so this is ‖w‖⁴
    # or ‖w‖² over that of the equilibrium, whose distance it is that falls by e.
    with np.errstate(divide="ignore"):
        size = np.square(turn / of("turn"))
    reached = _reached(run.dynamics.iterations.astype(np.float64), lr, times, np.abs(size - 1))
    return Prediction(turn, norm, reached)


def _moving_mean(values: Array) -> Array:
    """Each report's mean with its neighbors, along the first axis."""
    half = _REPORTS // 2
    ends = range(len(values))
    return np.stack([mean(values[max(0, end - half) : end + half + 1], axis=0) for end in ends])


def _reached(iterations: Array, lr: Array, times: Array, distances: Array) -> Array:
    """Whether a learning rate has held still for long enough, at each report.

    A distance falls by e in each time constant: the farther a weight was when the learning rate came to hold
    still, the longer it takes.

    Args:
        iterations: ``(reports,)``.
        lr: ``(reports, weights)``.
        times: The time constants in updates, likewise.
        distances: From the equilibrium of the learning rate then, as a share of it, likewise.
    """
    if len(iterations) < 2:
        return np.zeros(lr.shape, dtype=bool)
    steps = np.diff(iterations)[:, None]
    # Between two reports; the first has nothing before it.
    change = np.abs(np.diff(logarithm(lr), axis=0)) / steps
    still = change * times[1:] <= _STILL
    waited, start = np.zeros(lr.shape), distances.copy()
    for report in range(1, len(iterations)):
        more = waited[report - 1] + steps[report - 1] / times[report]
        waited[report] = np.where(still[report - 1], more, 0.0)
        start[report] = np.where(still[report - 1], start[report - 1], distances[report])
    reached: Array = waited >= np.maximum(_TIMES, logarithm(start / _LEFT))
    return reached


class Equilibrium(NamedTuple):
    """A stage of an arm with weight decay against theory, where that says that it is in its equilibrium.

    Attributes:
        arm: The arm's label.
        stage: The stage.
        share: The share of all reports at which it is.
        time: The time constant in updates at the highest learning rate.
        turn: The angular update that was measured, in radians; NaN where it never is in equilibrium.
        turn_ratio: That over the predicted one.
        norm: The norm (see :attr:`Prediction.norm`) that was measured.
        norm_ratio: That over the predicted one.
    """

    arm: str
    stage: str
    share: float
    time: float
    turn: float
    turn_ratio: Ratio
    norm: float
    norm_ratio: Ratio


def equilibria(watched: Watched) -> list[Equilibrium]:
    """Of each arm whose weights have a law and weight decay, and each stage."""
    found = []
    for arm, runs in watched.by_arm().items():
        known = [(run, prediction) for run in runs if (prediction := predicted(run)) is not None]
        if known:
            found += [_equilibrium(arm, stage, known) for stage in runs[0].stages]
    return found


def _equilibrium(arm: str, stage: str, runs: Sequence[tuple[WatchedRun, Prediction]]) -> Equilibrium:
    turn, norm = (
        [_measured_and_ratio(run, p, quantity, stage) for run, p in runs] for quantity in ("turn", "norm_4")
    )
    law = runs[0][0].dynamics.contents.law
    times = []
    for run, _ in runs:
        settings = [run.of_stage(run.of(name), stage) for name in ("lr", "weight_decay", "momentum")]
        rate = settings[0] * settings[1]
        if (rate > 0).any():
            best = np.unravel_index(np.argmax(rate), rate.shape)
            times.append(float(updates_to_equilibrium(law, *(values[best] for values in settings))))
    return Equilibrium(
        arm,
        stage,
        float(mean(np.array([run.of_stage(p.reached, stage).mean() for run, p in runs]))),
        float(mean(np.array(times))) if times else math.nan,
        math.exp(float(mean(np.array([measured for measured, _ in turn])))),
        ratio_over_seeds([ratio for _, ratio in turn]),
        math.exp(float(mean(np.array([measured for measured, _ in norm])))),
        ratio_over_seeds([ratio for _, ratio in norm]),
    )


def _measured_and_ratio(
    run: WatchedRun, prediction: Prediction, quantity: str, stage: str
) -> tuple[float, float]:
    """The logarithms of what was measured in equilibrium, and of that over what is predicted."""
    theory = {"turn": prediction.turn, "norm_4": prediction.norm}[quantity]
    reached = run.of_stage(prediction.reached, stage)
    measured = np.where(reached, logarithm(run.of_stage(run.of(quantity), stage)), np.nan)
    return float(mean(measured)), float(mean(measured - logarithm(run.of_stage(theory, stage))))
