"""Norms of scale-invariant filters can only grow, and growth is of the order of the learning rate.

With ``⟨w, g⟩ = 0``:

* plain SGD: ``‖w'‖² = ‖w‖² + η² ‖g‖²``. Over a fixed time ``T = η · updates`` that sums to ``η T`` times the
  mean of ``‖g‖²``: half the learning rate, half the growth, and none in continuous time;
* momentum α, with buffers ``v₁, v₂, …``: a filter is at a right angle to this gradient, but not to those that
  the buffer holds of earlier filters. Exactly::

      ‖w_t‖² − ‖w_{t−1}‖² = η² (‖v_t‖² + 2 Σ_{k<t} α^{t−k} ‖v_k‖²)

  in the mean of many updates ``η² (1 + α) / (1 − α) ‖v‖²``, and, where gradients of successive updates are
  uncorrelated, so that ``‖v‖² = ‖g‖² / (1 − α²)``, ``(η / (1 − α))² ‖g‖²``;
* Adam divides each component by a size of its own, so that an update is not at a right angle, and growth (or
  shrinkage) stays in continuous time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wrs_mm.probe.subject import Subject
from wrs_mm.probe.trajectory import Array, MakeOptimizer, Trajectory, follow


def growth_of_sgd(trajectory: Trajectory, lr: float) -> Array:
    """``(updates, filters)`` what plain SGD adds to ``‖w‖²`` by the equation."""
    grown: Array = lr**2 * trajectory.gradients
    return grown


def growth_of_momentum(trajectory: Trajectory, momentum: float) -> Array:
    """``(updates, filters)`` what SGD with momentum adds to ``‖w‖²`` by the exact equation.

    Args:
        trajectory: From the first update on, whose buffer is the gradient; ``η v`` is what it took as steps.
        momentum: α.
    """
    grown = np.empty_like(trajectory.steps)
    before = np.zeros_like(trajectory.steps[0])
    for number, squares in enumerate(trajectory.steps):
        grown[number] = squares + 2 * before
        before = momentum * (before + squares)
    return grown


def growth_if_uncorrelated(trajectory: Trajectory, lr: float, momentum: float) -> Array:
    """``(updates, filters)`` what SGD with momentum adds in the mean, if no gradient knew of another."""
    grown: Array = (lr / (1 - momentum)) ** 2 * trajectory.gradients
    return grown


@dataclass(frozen=True)
class FixedTime:
    """Growth over a fixed time at several learning rates.

    Attributes:
        rates: Each half of the one before.
        growth: Of each, the mean over filters of ``‖w_T‖² / ‖w_0‖² − 1``.
    """

    rates: tuple[float, ...]
    growth: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Growth at each rate by that at half of it: 2 where growth is linear in the rate."""
        return tuple(a / b if b else np.nan for a, b in zip(self.growth, self.growth[1:], strict=False))

    @property
    def limit(self) -> float:
        """Growth at rate 0, on the line through the two smallest rates."""
        return 2 * self.growth[-1] - self.growth[-2]


def over_fixed_time(
    subject: Subject,
    make_optimizer: Callable[[float], MakeOptimizer],
    lr: float,
    updates: int,
    halvings: int,
    progress: Callable[[int], None] = lambda updates: None,
) -> FixedTime:
    """Train from the same start, on one batch, with ever smaller steps and as many more of them.

    Args:
        subject: Its model is copied.
        make_optimizer: By learning rate.
        lr: The largest.
        updates: At the largest.
        halvings: How often it is halved, at least once.
        progress: Told how many updates were made.

    Raises:
        NotFiniteError: A loss is not finite.
    """
    rates, growth = [], []
    for halving in range(halvings + 1):
        factor = 2**halving
        path = follow(subject.copy(), make_optimizer(lr / factor), updates * factor, batch=0)
        rates.append(lr / factor)
        growth.append(relative_growth(path))
        progress(updates * factor)
    return FixedTime(tuple(rates), tuple(growth))


def relative_growth(trajectory: Trajectory) -> float:
    """The mean over filters of ``‖w‖²`` after the last update by that before the first, less 1."""
    return float((trajectory.squares[-1] / trajectory.squares[0] - 1).mean())
