"""Targets that move as weight decay moves norms; ours, not the paper's.

The norm of a scale-invariant filter sets how far a step turns it: by about ``lr ‖g‖ / ‖w‖``, with a
gradient ``g`` that itself goes with ``1 / ‖w‖``. Under weight decay two things move the norm: the decay
shrinks it, and a step makes it grow, for ``g`` stands at a right angle to ``w``. A constant norm takes both
away, and with them the effective schedule that the recipe was tuned for. A schedule of targets gives it
back, by one factor for all filters of a parameter group: ``target_i = start_i · factor``. Weight decay
stays as the recipe has it, and

* ``'decay_and_growth'`` keeps what it and the gradients do to all of them together,
  ``factor ← factor · √(Σ ‖w_i'‖² / Σ ‖w_i‖²)``, with ``w_i`` as the last rescale left it and ``w_i'`` as the
  optimizer did since. A rescale only moves the norms of a group to each other; with a group for each filter
  nothing would be left of it but weight decay. It holds for any optimizer, as it asks nothing of it;
* ``'decay_and_growth_by_layer'`` does the same with a factor for each weight, so that layers may move apart
  as under weight decay and only the filters of each are held to each other;
* ``'decay'`` leaves the growth out: ``factor`` goes where the optimizer's weight decay takes a norm whose
  gradient is zero (:func:`decayed`). With SGD of momentum α it shrinks by ``lr λ / (1 − α)`` an update in the
  long run, with decoupled decay by ``lr λ``.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

from wrs_mm.errors import OptionError
from wrs_mm.rescaling.buckets import Bucket
from wrs_mm.rescaling.partner_groups import may_hold_selected

_NO_GROUP = -1
"""In place of a parameter group's number, that of weights which the optimizer does not hold."""


class TargetSchedule(ABC):
    """Factors on the targets; which there are and what moves them is the subclass's.

    Args:
        optimizer: The one that trains the weights, with its partner groups.

    Raises:
        OptionError: There is no weight decay that could be followed.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._weights: dict[int, list[Tensor]] = {}
        _refuse_without_decay(filter(may_hold_selected, optimizer.param_groups))

    def begin(self, weights: Iterable[Tensor]) -> None:
        """Take the weights that will be rescaled, once they are in their groups.

        Raises:
            OptionError: None of them has weight decay.
        """
        self._weights.clear()
        for weight in weights:
            self._weights.setdefault(self.group_of(weight), []).append(weight)
        _refuse_without_decay(self.optimizer.param_groups[i] for i in self._weights if i != _NO_GROUP)

    def group_of(self, weight: Tensor) -> int:
        """The number of the parameter group that holds a weight."""
        for number, group in enumerate(self.optimizer.param_groups):
            if any(weight is held for held in group["params"]):
                return number
        return _NO_GROUP

    def after_update(self) -> None:  # noqa: B027 - most have nothing to do then
        """Take notice of an update of the optimizer."""

    @abstractmethod
    def before_rescale(self, buckets: Mapping[int, Sequence[Bucket]]) -> bool:
        """Give the buckets of each parameter group their targets.

        Returns:
            Whether their norms have been measured for it.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it, in tensors and plain Python."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from it; called before :meth:`begin`."""


class _GroupSchedule(TargetSchedule):
    """One factor for each parameter group.

    Args:
        optimizer: As in TargetSchedule.

    Attributes:
        factors: By number of the parameter group, ``()`` float64 on the device of its weights.

    Raises:
        OptionError: There is no weight decay that could be followed.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self.factors: dict[int, Tensor] = {}

    def begin(self, weights: Iterable[Tensor]) -> None:
        """Take the weights that will be rescaled, once they are in their groups.

        Raises:
            OptionError: None of them has weight decay.
        """
        super().begin(weights)
        for group, (first, *_) in self._weights.items():
            start = self.factors.get(group, torch.ones((), dtype=torch.float64))
            self.factors[group] = start.to(first.device)

    def before_rescale(self, buckets: Mapping[int, Sequence[Bucket]]) -> bool:
        """Give the buckets of each parameter group their targets.

        Returns:
            Whether their norms have been measured for it.
        """
        for group, its in buckets.items():
            for bucket in its:
                bucket.move_targets(self.factors[group])
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it, in tensors and plain Python."""
        return {"factors": dict(self.factors)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from it; called before :meth:`begin`."""
        self.factors = dict(state["factors"])


class DecayAndGrowth(_GroupSchedule):
    """The root mean square norm of a group is what the optimizer makes of it."""

    def before_rescale(self, buckets: Mapping[int, Sequence[Bucket]]) -> bool:
        """Measure the buckets, and move their targets by as much as their norms have moved.

        Returns:
            True.
        """
        for group, its in buckets.items():
            for bucket in its:
                bucket.measure()
            device = self.factors[group].device
            sums = torch.stack([bucket.sums_of_squares().to(device) for bucket in its]).sum(0)
            self.factors[group] = self.factors[group] * moved(*sums.unbind())
        super().before_rescale(buckets)
        return True


class DecayAndGrowthByLayer(TargetSchedule):
    """The root mean square norm of each weight is what the optimizer makes of it.

    Args:
        optimizer: As in TargetSchedule.

    Attributes:
        factors: By name of the weight, ``()`` float64; 1 before its first rescale.

    Raises:
        OptionError: There is no weight decay that could be followed.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self.factors: dict[str, Tensor] = {}

    def before_rescale(self, buckets: Mapping[int, Sequence[Bucket]]) -> bool:
        """Measure the buckets, and move each weight's targets by as much as its norms have moved.

        Returns:
            True.
        """
        for bucket in itertools.chain(*buckets.values()):
            bucket.measure()
            after, before = bucket.sums_of_squares_by_weight()
            one = after.new_ones(())
            factors = torch.stack([self.factors.get(name, one).to(one.device) for name in bucket.names])
            factors = factors * moved(after, before)
            self.factors.update(zip(bucket.names, factors.unbind(), strict=True))
            bucket.move_targets(factors)
        return True

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it, in tensors and plain Python."""
        # Copies: views would each be saved with the factors of all.
        return {"factors": {name: factor.clone() for name, factor in self.factors.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from it; called before :meth:`begin`."""
        self.factors = dict(state["factors"])


class Decay(_GroupSchedule):
    """A norm that the optimizer's weight decay alone moves.

    Args:
        optimizer: SGD, or one with decoupled weight decay.

    Raises:
        OptionError: It is neither, or there is no weight decay that could be followed.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        # Adam and its like say so in each group.
        self._decoupled = isinstance(optimizer, AdamW) or all(
            group.get("decoupled_weight_decay", False) for group in optimizer.param_groups
        )
        if not self._decoupled and not isinstance(optimizer, SGD):
            raise OptionError(
                "target_schedule='decay' follows the weight decay of SGD, or decoupled weight decay (AdamW), "
                f"not that of {type(optimizer).__name__}: 'decay_and_growth' follows any"
            )
        self._velocities: dict[int, Tensor] = {}

    def after_update(self) -> None:
        """Decay the factor of each group whose weights have just been updated."""
        for number, weights in self._weights.items():
            # Like the optimizer, which leaves a weight without gradient as it is.
            if number != _NO_GROUP and any(weight.grad is not None for weight in weights):
                self._decay(number, self.optimizer.param_groups[number])

    def _decay(self, number: int, group: Mapping[str, Any]) -> None:
        if self._decoupled:
            self.factors[number] = (self.factors[number] * (1 - group["lr"] * group["weight_decay"])).abs()
            return
        velocity = self._velocities.get(number)
        self.factors[number], velocity = decayed(self.factors[number], velocity, group)
        if velocity is not None:
            self._velocities[number] = velocity

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it, in tensors and plain Python."""
        return {**super().state_dict(), "velocities": dict(self._velocities)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from it; called before :meth:`begin`."""
        super().load_state_dict(state)
        self._velocities = dict(state["velocities"])

    def begin(self, weights: Iterable[Tensor]) -> None:
        """Take the weights that will be rescaled, once they are in their groups.

        Raises:
            OptionError: None of them has weight decay.
        """
        super().begin(weights)
        for number, velocity in self._velocities.items():
            self._velocities[number] = velocity.to(self.factors[number].device)


SCHEDULES: Mapping[str, type[TargetSchedule]] = {
    "decay": Decay,
    "decay_and_growth": DecayAndGrowth,
    "decay_and_growth_by_layer": DecayAndGrowthByLayer,
}
"""By the value of ``target_schedule``; ``'constant'`` needs none."""


def decayed(norm: Tensor, velocity: Tensor | None, group: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
    """What the weight decay in one update of SGD makes of a norm whose gradient is zero.

    Args:
        norm: ``()`` float64.
        velocity: ``()`` what stands in the momentum buffer; None before the first update with momentum.
        group: The parameter group.

    Returns:
        The new norm and velocity. Strong weight decay with momentum takes a weight through zero to the other
        side: the norm stays positive then, and the velocity points the other way.
    """
    step = group["weight_decay"] * norm
    if group["momentum"]:
        past = velocity
        velocity = step if past is None else group["momentum"] * past + (1 - group["dampening"]) * step
        step = step + group["momentum"] * velocity if group["nesterov"] else velocity
    new = norm - group["lr"] * step
    if velocity is not None:
        velocity = torch.where(new < 0, -velocity, velocity)
    return new.abs(), velocity


def moved(after: Tensor, before: Tensor) -> Tensor:
    """By what factor a root mean square norm moved, from the sums of squares; 1 where nothing had a norm."""
    return torch.where(before > 0, after / before, 1.0).sqrt()


def _refuse_without_decay(groups: Iterable[Mapping[str, Any]]) -> None:
    """Raise OptionError if no group has weight decay."""
    if not any(group.get("weight_decay") for group in groups):
        raise OptionError(
            "target_schedule follows the weight decay of the rescaled weights, and they have none: give the "
            "optimizer a weight_decay and leave scale_invariant_decay_mult above 0, or use "
            "target_schedule='constant'"
        )
