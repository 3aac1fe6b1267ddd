"""The whole probe of a network: what is measured, in which order, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.optim import SGD, Adam

from wrs_mm.audit.precision import NEGLIGIBLE_EPS
from wrs_mm.features.patches import owners, patches
from wrs_mm.probe.growth import (
    FixedTime,
    growth_if_uncorrelated,
    growth_of_momentum,
    growth_of_sgd,
    over_fixed_time,
)
from wrs_mm.probe.orthogonality import radial_by_eps
from wrs_mm.probe.short_training import train_arm
from wrs_mm.probe.subject import Subject
from wrs_mm.probe.trajectory import Array, MakeOptimizer, Trajectory, follow
from wrs_mm.probe.weight_noise import Noise, noise_of

_MOMENTUM = 0.9
_ADAM_LR = 1e-3

_MOMENTUM_UPDATES = 3
"""Times the updates of a short training: buffers fill in some 1 / (1 − α), sums of them in as many more."""

_LARGEST = 0.25
"""The largest learning rate over a fixed time, by the one that was asked for: at that itself the first
updates of a training jump, and growth is no smooth function."""

Progress = Callable[[int], None]
"""Told how many updates were made."""


@dataclass(frozen=True)
class RightAngles:
    """How near to a right angle the gradient stands to the filters of one weight, over some updates of SGD.

    Attributes:
        weight: Its name.
        filters: How many it has.
        untrained: How many of them never had a gradient that is more than rounding.
        cosines: Of each filter the largest ``|⟨w, g⟩| / (‖w‖ ‖g‖)``; NaN where it had no gradient.
        cosines_without_eps: The same with a negligible ε of all norm layers.
    """

    weight: str
    filters: int
    untrained: int
    cosines: tuple[float, ...]
    cosines_without_eps: tuple[float, ...]


@dataclass(frozen=True)
class Orthogonality:
    """Of all weights.

    Attributes:
        weights: One by one.
        explained: The largest difference, as a cosine, between what is measured and what
            :func:`~wrs_mm.probe.orthogonality.radial_by_eps` says, after the updates; NaN of nothing.
        grown: ``(2, n)`` what some filters gained in ``‖w‖²`` in an update of SGD, with a negligible ε, as a
            share of it: predicted and measured.
        residual: The largest difference of the two, over all filters and updates.
    """

    weights: tuple[RightAngles, ...]
    explained: float
    grown: Array
    residual: float


@dataclass(frozen=True)
class Momentum:
    """SGD with momentum, with a negligible ε.

    Attributes:
        momentum: α.
        residual: The largest difference between an update's growth and the exact equation, by ``‖w‖²``.
        measured: After each update, growth so far, the mean over filters.
        uncorrelated: What ``(η / (1 − α))² ‖g‖²`` says for it.
    """

    momentum: float
    residual: float
    measured: tuple[float, ...]
    uncorrelated: tuple[float, ...]


@dataclass(frozen=True)
class Growth:
    """Growth over a fixed time, and what an update's angle to the filter is.

    Attributes:
        sgd: Plain SGD with a negligible ε.
        sgd_with_eps: With the network's own.
        adam: Adam, with a negligible ε.
        momentum: SGD with momentum.
        angles: By optimizer, the root mean square cosine between filter and update, with a negligible ε.
    """

    sgd: FixedTime
    sgd_with_eps: FixedTime
    adam: FixedTime
    momentum: Momentum
    angles: dict[str, float]


def _updates_of_growth(updates: int) -> int:
    """How many updates the largest learning rate gets in a fixed time, of those of a short training."""
    return max(2, updates // 4)


def updates_in_all(updates: int, halvings: int, arms: int) -> int:
    """How many updates a whole probe makes."""
    growth = _updates_of_growth(updates)
    return (
        2 * growth
        + (_MOMENTUM_UPDATES + 1) * updates
        + 3 * growth * (2 ** (halvings + 1) - 1)
        + arms * updates
    )


def probe_orthogonality(
    subject: Subject, lr: float, updates: int, progress: Progress = lambda updates: None
) -> Orthogonality:
    """Follow plain SGD with and without the ε of norm layers.

    Args:
        subject: The network; copies of it are trained.
        lr: Of SGD.
        updates: How many.
        progress: Told of them.

    Raises:
        NotFiniteError: The loss is not finite.
    """
    own, exact = subject.copy(), subject.copy(NEGLIGIBLE_EPS)
    count = _updates_of_growth(updates)
    with_eps = follow(own, partial(SGD, lr=lr), count)
    progress(count)
    without = follow(exact, partial(SGD, lr=lr), count)
    progress(count)
    weights = tuple(
        RightAngles(
            name,
            place.stop - place.start,
            int((~with_eps.trained[:, place].any(axis=0)).sum()),
            tuple(np.fmax.reduce(with_eps.cosines[:, place]).tolist()),
            tuple(np.fmax.reduce(without.cosines[:, place]).tolist()),
        )
        for name, place in subject.filters().items()
    )
    predicted = growth_of_sgd(without, lr)
    squares = without.squares[1:]
    shares = np.stack([(values / without.squares[:-1]).ravel() for values in (predicted, without.growth)])
    return Orthogonality(
        weights,
        _unexplained(own, count),
        shares[:, :: max(1, shares.shape[1] // 2000)],
        float((np.abs(without.growth - predicted) / squares).max()),
    )


def _unexplained(subject: Subject, batch: int) -> float:
    """The largest difference between the radial gradient and its equation, as a cosine."""
    predicted = radial_by_eps(subject, batch)
    once = follow(subject, partial(SGD, lr=0.0), 1, batch)
    sizes = np.sqrt(once.squares[0] * once.gradients[0])
    known = once.trained[0] & ~np.isnan(predicted)
    return largest(np.abs(once.radial[0] - predicted)[known] / sizes[known])


def largest(values: Sequence[float] | Array) -> float:
    """The largest of those that are numbers; NaN where none is."""
    return float(np.fmax.reduce(values, initial=np.nan))


def probe_growth(
    subject: Subject, lr: float, updates: int, halvings: int, progress: Progress = lambda updates: None
) -> Growth:
    """Growth over a fixed time under SGD and Adam, and update by update with momentum.

    Args:
        subject: The network; copies of it are trained.
        lr: Of SGD. Over a fixed time it begins at a quarter of that, and with momentum α it is
            ``(1 − α) lr``, so that filters move as far.
        updates: Those of a short training.
        halvings: How often the learning rate is halved.
        progress: Told of updates.

    Raises:
        NotFiniteError: The loss is not finite.
    """
    exact = subject.copy(NEGLIGIBLE_EPS)
    count = _updates_of_growth(updates)

    def sgd(rate: float) -> MakeOptimizer:
        return partial(SGD, lr=rate)

    def adam(rate: float) -> MakeOptimizer:
        return partial(Adam, lr=rate)

    own_lr = (1 - _MOMENTUM) * lr
    count_of_momentum = _MOMENTUM_UPDATES * updates
    path = follow(exact.copy(), partial(SGD, lr=own_lr, momentum=_MOMENTUM), count_of_momentum)
    progress(count_of_momentum)
    rounding = np.abs(path.growth - growth_of_momentum(path, _MOMENTUM)) / path.squares[1:]
    momentum = Momentum(
        _MOMENTUM,
        float(rounding.max()),
        _so_far(path, path.growth),
        _so_far(path, growth_if_uncorrelated(path, own_lr, _MOMENTUM)),
    )
    adams = follow(exact.copy(), adam(_ADAM_LR), updates)
    progress(updates)
    # A right angle is one to rounding: plain SGD's first updates are those of the fixed time.
    plain = follow(exact.copy(), sgd(lr), 1)
    return Growth(
        over_fixed_time(exact, sgd, _LARGEST * lr, count, halvings, progress),
        over_fixed_time(subject, sgd, _LARGEST * lr, count, halvings, progress),
        over_fixed_time(exact, adam, _ADAM_LR, count, halvings, progress),
        momentum,
        {"SGD": _angle(plain), f"SGD, momentum {_MOMENTUM:g}": _angle(path), "Adam": _angle(adams)},
    )


def _so_far(trajectory: Trajectory, growth: Array) -> tuple[float, ...]:
    """Growth up to and with each update, as a share of ``‖w‖²`` at the start, the mean over filters."""
    return tuple(float(v) for v in (np.cumsum(growth, axis=0) / trajectory.squares[0]).mean(axis=1))


def _angle(trajectory: Trajectory) -> float:
    """The root mean square cosine between filters and their updates, over those that have a gradient."""
    sizes = trajectory.squares[:-1] * trajectory.steps
    known = trajectory.trained & (sizes > 0)
    return float(np.sqrt((trajectory.radial_steps[known] ** 2 / sizes[known]).mean()))


@dataclass(frozen=True)
class ArmNoise:
    """Weight noise in a short training with an arm.

    Attributes:
        arm: Its name.
        layers: Layer by layer.
        ranks: By layer, after some updates, how many patches were seen and their rank.
    """

    arm: str
    layers: tuple[Noise, ...]
    ranks: dict[str, list[tuple[int, float]]]


def probe_noise(
    subject: Subject,
    recipe: Config,
    arms: Sequence[str],
    layers: Sequence[str],
    updates: int,
    lr: float | None = None,
    progress: Progress = lambda updates: None,
) -> list[ArmNoise]:
    """Train each arm from the same start on the same batches, but the last, which stays unseen.

    Args:
        subject: The network; copies of it are trained.
        recipe: Its config.
        arms: Regularizers.
        layers: Names of weights.
        updates: Of each training.
        lr: In place of the recipe's.
        progress: Told of updates.

    Raises:
        OptionError: An arm does not go with the recipe.
        NotFiniteError: The loss is not finite.
    """
    seen = Subject(subject.model, subject.data[:-1], subject.verdicts, subject.dtype)
    unseen = Subject(subject.model, subject.data[-1:], subject.verdicts, subject.dtype)
    moments = sorted({max(1, round(updates / 2**k)) for k in range(5)})
    found = []
    for arm in arms:
        watched, model = train_arm(seen, recipe, arm, layers, updates, lr, moments, progress)
        fresh = _patches(Subject(model, unseen.data, subject.verdicts, subject.dtype), layers)
        noises = tuple(noise_of(layer, layer.seen.span(), fresh[layer.name]) for layer in watched)
        found.append(ArmNoise(arm, noises, {layer.name: layer.ranks for layer in watched}))
    return found


@torch.no_grad()
def _patches(subject: Subject, layers: Sequence[str]) -> dict[str, Tensor]:
    """By layer, all patches of one batch."""
    found: dict[str, list[Tensor]] = {name: [] for name in layers}
    handles = []
    for name in layers:

        def look(module: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
            found[name].append(patches(module, args[0]))

        handles += [module.register_forward_pre_hook(look) for module in owners(subject.model, name)]
    subject.loss()
    for handle in handles:
        handle.remove()
    return {name: torch.cat(parts, dim=1) for name, parts in found.items()}
