"""What a step rule is: a method that acts on each scale-invariant weight around an update of the optimizer.

:class:`wrs_mm.rescaling.ruled_steps.RuledSteps` finds the weights and calls it; ours are in
:mod:`wrs_mm.rescaling.step_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from wrs_mm.rescaling.functional import filter_view, norm_dtype

State: TypeAlias = "dict[str, Tensor]"
"""What a rule keeps of one weight, by name; it is saved with the optimizer's own."""


class RuledWeight:
    """A weight as a step rule sees it: its filters, in whatever memory format it has, never copied.

    Args:
        name: As in ``model.named_parameters()``.
        parameter: The weight.
        transposed_groups: See :func:`wrs_mm.rescaling.functional.filter_view`.
        granularity: What has one norm: each filter (``'filter'``), or the whole weight (``'layer'``).
    """

    def __init__(self, name: str, parameter: Tensor, transposed_groups: int, granularity: str) -> None:
        self.name = name
        self.parameter = parameter
        self._groups = transposed_groups
        self._layer = granularity == "layer"

    def view(self, tensor: Tensor) -> Tensor:
        """A tensor of the weight's shape as its filters."""
        return filter_view(tensor.detach(), self._groups)[0]

    @property
    def filters(self) -> Tensor:
        """The weight, to be changed in place."""
        return self.view(self.parameter)

    @property
    def grad(self) -> Tensor:
        """Its gradient, likewise."""
        assert self.parameter.grad is not None  # a weight without one is left alone
        return self.view(self.parameter.grad)

    def norms(self, filters: Tensor | None = None) -> Tensor:
        """L2 norms, float32 or wider, in a shape that multiplies the filters.

        Args:
            filters: As :meth:`view` gives them; None for the weight itself.
        """
        filters = self.filters if filters is None else filters
        inside, dtype = self._inside(filters), norm_dtype(filters.dtype)
        return torch.linalg.vector_norm(filters, dim=inside, keepdim=True, dtype=dtype)

    def dots(self, one: Tensor, other: Tensor) -> Tensor:
        """Inner products of two tensors' filters, in the shape and precision of :meth:`norms`."""
        return (one * other).sum(self._inside(one), keepdim=True, dtype=norm_dtype(one.dtype))

    def _inside(self, filters: Tensor) -> tuple[int, ...]:
        """The dimensions of the filters over which a norm goes."""
        if self._layer:
            return tuple(range(filters.dim()))
        return (1, *range(3, filters.dim())) if self._groups else tuple(range(1, filters.dim()))


class StepRule:
    """What is done to each scale-invariant weight around an update of the optimizer.

    A subclass overrides what it needs; its arguments are the rule's options, kept as attributes of the same
    names. Nothing is called for a weight that is frozen or has no gradient, nor for an update that was only
    accumulated or skipped. ``group`` is the optimizer's parameter group of the weight, with the learning rate
    of this update (``group['lr']``).

    Attributes:
        granularity: What has one norm, and so which weights are scale-invariant: ``'filter'`` or ``'layer'``.
        decay_mult: Factor on the weight decay of the rule's weights, unless the config says another.
    """

    granularity: str = "filter"
    decay_mult: float = 0.0

    def prepare(self, optimizer: Optimizer) -> None:
        """Look at the optimizer, once.

        Raises:
            OptionError: The rule does not go with it.
        """

    def begin(self, weight: RuledWeight, group: Mapping[str, Any]) -> State:
        """What to keep of a weight, when training begins."""
        return {}

    def before(self, weight: RuledWeight, group: Mapping[str, Any], state: State) -> None:
        """Before the update: may change ``weight.grad`` and ``weight.filters`` in place."""

    def move(
        self, old: Tensor, update: Tensor, weight: RuledWeight, group: Mapping[str, Any], state: State
    ) -> Tensor:
        """In place of the update: the new weight. A rule that overrides it costs a copy of each weight.

        Args:
            old: The weight as it was, as filters; to be left as it is.
            update: What the optimizer would add to it; may be changed in place, and returned.
            weight: Measures filters.
            group: The weight's parameter group.
            state: Of the weight; to be changed in place.
        """
        return update.add_(old)

    def rate(self, old: Tensor, weight: RuledWeight, group: Mapping[str, Any], state: State) -> Tensor:
        """The factor on the learning rate of each filter, of a rule that multiplies the update by one.

        For those who measure effective learning rates. Of a rule that sets the size of a step by itself the
        optimizer's learning rate is none, and 1 says nothing.

        Args:
            old: The weight before the update, as filters.
            weight: Measures filters.
            group: The weight's parameter group.
            state: Of the weight.

        Returns:
            In the shape of :meth:`RuledWeight.norms`.
        """
        return torch.ones_like(weight.norms(old))

    def after(self, weight: RuledWeight, group: Mapping[str, Any], state: State) -> None:
        """After the update: may change ``weight.filters`` in place."""

    def finish(self) -> None:
        """After an update, once all weights are done.

        Raises:
            NotFiniteError: The training has left the numbers that it could go on with.
        """

    def options(self) -> dict[str, Any]:
        """What a resumed run must share: all attributes that are plain values."""
        plain = (str, int, float, bool, type(None))
        return {k: v for k, v in vars(self).items() if not k.startswith("_") and isinstance(v, plain)}


def ratio(one: Tensor | float, other: Tensor) -> Tensor:
    """``one / other``, and 0 where ``other`` is 0."""
    return torch.where(other == 0, 0.0, one / other)
