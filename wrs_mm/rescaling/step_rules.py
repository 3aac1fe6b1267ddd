"""Step rules of others: what each does to a scale-invariant weight ``w`` around an update ``−η u``.

* :class:`Hyperball` (Wen et al., arXiv 2606.16899): ``w ← R N(w − η R N(u))``, with ``N`` the division by the
  norm, and ``R`` the norm when training began.
* :class:`Rotational` (Kosson et al., arXiv 2305.17212): ``u`` without its part along ``w``, divided by a
  running root mean square of its norm, times the angle that weight decay would lead to; then back to ``R``.
* :class:`ScaledRate` (Liu et al., arXiv 2102.03497, version 1): ``w ← w − η (‖w‖ / R)² u``, so that the
  effective learning rate ``η / ‖w‖²`` stays what it was at the start.
* :class:`Shifted` (Li et al., arXiv 1911.05920): weight decay towards the norm ε,
  with the gradient ``λ (1 − ε / ‖w‖) w``.

None of them needs the fold into BN that a rescale does: a norm that is put back was the same before the
update, so that running statistics see nothing but what the optimizer did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop

from wrs_mm.errors import NotFiniteError, OptionError
from wrs_mm.rescaling.step_rule import RuledWeight, State, StepRule, ratio
from wrs_mm.values import is_number

_ADAPTIVE = (Adam, AdamW, NAdam, RAdam, Adamax, RMSprop, Adagrad)
"""Optimizers whose update does not depend on the scale of the gradients."""

LARGEST_GROWTH = 1e15
"""By how much a norm may have grown under :class:`ScaledRate`: activations' squares still fit float32."""

_EPS = 1e-8
"""Kosson et al. add it to the running root mean square."""


class Hyperball(StepRule):
    """``w ← R N(w − η R N(u))``: every norm stays as it was, and every update is η times it.

    Args:
        granularity: The whole weight (``'layer'``, the source), or each filter.

    Raises:
        OptionError: It is neither.
    """

    def __init__(self, granularity: str = "layer") -> None:
        if granularity not in ("filter", "layer"):
            raise OptionError(f"granularity must be 'filter' or 'layer', not {granularity!r}")
        self.granularity = granularity

    def begin(self, weight: RuledWeight, group: Mapping[str, Any]) -> State:
        """``R``."""
        return {"radius": weight.norms()}

    def move(
        self, old: Tensor, update: Tensor, weight: RuledWeight, group: Mapping[str, Any], state: State
    ) -> Tensor:
        """The equation; an update of zero leaves the weight where it is."""
        radius = state["radius"]
        new = update.mul_(ratio(group["lr"] * radius, weight.norms(update))).add_(old)
        return new.mul_(ratio(radius, weight.norms(new)))


class Rotational(StepRule):
    """Each filter turns by about ``η_r`` an update, what weight decay would lead to in equilibrium.

    ``η_r = √(2 η λ / (1 + α))`` for SGD with momentum α, ``√(2 η λ (1 − β₁) / (1 + β₁))`` for Adam and AdamW.

    Args:
        weight_decay: ``λ``, which is not applied, but says how far to turn.
        decay: Of the running mean square of the update's norm.

    Raises:
        OptionError: A value is out of its range.
    """

    def __init__(self, weight_decay: float, decay: float = 0.9) -> None:
        if not (is_number(weight_decay) and weight_decay > 0):
            raise OptionError(f"weight_decay must be a number > 0, not {weight_decay!r}", "weight_decay")
        if not (is_number(decay) and 0 <= decay < 1):
            raise OptionError(f"decay must be a number in [0, 1), not {decay!r}", "decay")
        self.weight_decay = weight_decay
        self.decay = decay

    def prepare(self, optimizer: Optimizer) -> None:
        """Only for SGD, Adam and AdamW is ``η_r`` known."""
        if not isinstance(optimizer, (SGD, Adam, AdamW)):
            raise OptionError(
                f"Rotational knows the angle that weight decay leads to under SGD, Adam and AdamW, not under "
                f"{type(optimizer).__name__}: use one of them, or Hyperball"
            )

    def angle(self, group: Mapping[str, Any]) -> float:
        """``η_r`` of a parameter group."""
        share = 1 / (1 + group["momentum"]) if "momentum" in group else _share(group["betas"][0])
        return math.sqrt(2 * float(group["lr"]) * self.weight_decay * share)

    def begin(self, weight: RuledWeight, group: Mapping[str, Any]) -> State:
        """``R``, the running mean square, and how many updates it has seen."""
        norms = weight.norms()
        steps = torch.zeros((), dtype=norms.dtype, device=norms.device)
        return {"radius": norms, "mean_square": torch.zeros_like(norms), "steps": steps}

    def move(
        self, old: Tensor, update: Tensor, weight: RuledWeight, group: Mapping[str, Any], state: State
    ) -> Tensor:
        """Remove the radial part, divide by the root mean square, turn, put the norm back."""
        lr = float(group["lr"])
        if lr == 0:
            return old
        radius, mean_square = state["radius"], state["mean_square"]
        tangent = update.sub_(old * ratio(weight.dots(update, old), weight.norms(old).square()))
        mean_square.lerp_((weight.norms(tangent) / lr).square(), 1 - self.decay)
        state["steps"].add_(1)
        size = (mean_square / (1 - self.decay ** state["steps"])).sqrt() + _EPS
        new = tangent.mul_(self.angle(group) * radius / (lr * size)).add_(old)
        return new.mul_(ratio(radius, weight.norms(new)))


class ScaledRate(StepRule):
    """``w ← w − η (‖w‖ / R)^p u``: the effective learning rate stays what it was at the start.

    Norms grow without bound. Where one has grown by :data:`LARGEST_GROWTH`, the training is over.

    Args:
        power: ``p``: 2 for optimizers whose update goes with the gradient, 1 for those that divide it by its
            size; ``'auto'`` knows torch's.

    Raises:
        OptionError: It is none of them.
    """

    def __init__(self, power: int | str = "auto") -> None:
        if power not in ("auto", 1, 2) or isinstance(power, bool):
            raise OptionError(f"power must be 'auto', 1 or 2, not {power!r}", "power")
        self.power = power
        self._power = 0
        self._growth: list[tuple[str, Tensor]] = []

    def prepare(self, optimizer: Optimizer) -> None:
        """Which power is the optimizer's."""
        if self.power != "auto":
            self._power = int(self.power)
        elif isinstance(optimizer, SGD):
            self._power = 2
        elif isinstance(optimizer, _ADAPTIVE):
            self._power = 1
        else:
            raise OptionError(
                f"ScaledRate does not know {type(optimizer).__name__}: write power=2 if its update goes with "
                "the gradient, power=1 if the update's size does not depend on the gradient's",
                "power",
            )

    def begin(self, weight: RuledWeight, group: Mapping[str, Any]) -> State:
        """``R``."""
        return {"start": weight.norms()}

    def move(
        self, old: Tensor, update: Tensor, weight: RuledWeight, group: Mapping[str, Any], state: State
    ) -> Tensor:
        """The equation; a filter that was zero in the beginning stays as the optimizer has it."""
        new = update.mul_(self.rate(old, weight, group, state)).add_(old)
        self._growth.append((weight.name, _growth(weight.norms(new), state["start"]).amax()))
        return new

    def rate(self, old: Tensor, weight: RuledWeight, group: Mapping[str, Any], state: State) -> Tensor:
        """``(‖w‖ / R)^p``."""
        return _growth(weight.norms(old), state["start"]) ** self._power

    def finish(self) -> None:
        """Look at how far the norms have grown.

        Raises:
            NotFiniteError: Beyond what float32 can work with.
        """
        growth, self._growth = self._growth, []
        for device in {value.device for _, value in growth}:
            own = [(name, value) for name, value in growth if value.device == device]
            largest = torch.stack([value.double() for _, value in own])
            if not bool((largest <= LARGEST_GROWTH).all()):
                worst = int(largest.nan_to_num(torch.inf).argmax())
                raise NotFiniteError(
                    f"scale_lr: a filter's norm in {own[worst][0]} has grown {float(largest[worst]):.1e} "
                    "times, and its learning rate with it: beyond float32"
                )


class Shifted(StepRule):
    """Weight decay towards the norm ε: the gradient of ``λ/2 (‖w_i‖ − ε)²``.

    It goes where the optimizer's own weight decay would go: into the gradient, and with it into momentum and
    Adam's moments; with AdamW (and other decoupled decay) beside the update, times the learning rate.

    Args:
        weight_decay: ``λ``.
        epsilon: ``ε``.

    Raises:
        OptionError: A value is out of its range.
    """

    def __init__(self, weight_decay: float, epsilon: float = 1e-3) -> None:
        for name, value in (("weight_decay", weight_decay), ("epsilon", epsilon)):
            if not (is_number(value) and value >= 0):
                raise OptionError(f"{name} must be a number ≥ 0, not {value!r}", name)
        self.weight_decay = weight_decay
        self.epsilon = epsilon
        self._optimizer: Optimizer | None = None

    def prepare(self, optimizer: Optimizer) -> None:
        """It says by what a fused step will divide the gradients."""
        self._optimizer = optimizer

    def before(self, weight: RuledWeight, group: Mapping[str, Any], state: State) -> None:
        """Add the gradient, or decay."""
        shift = self.weight_decay * (1 - self.epsilon * ratio(1.0, weight.norms()))
        filters = weight.filters
        if isinstance(self._optimizer, AdamW) or group.get("decoupled_weight_decay", False):
            filters.mul_(1 - group["lr"] * shift)
            return
        # A fused optimizer unscales the gradients of mixed precision itself, within its step.
        scale = getattr(self._optimizer, "grad_scale", None)
        weight.grad.add_(filters * (shift if scale is None else shift * scale))


def _growth(norms: Tensor, start: Tensor) -> Tensor:
    """``‖w‖ / R``; 1 where a filter was zero in the beginning."""
    return torch.where(start == 0, 1.0, norms / start)


def _share(beta: float) -> float:
    return (1 - beta) / (1 + beta)
