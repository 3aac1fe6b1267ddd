"""What each update of an optimizer does to each scale-invariant filter: numbers, filter by filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wrs_mm.probe.subject import Subject
from wrs_mm.rescaling.functional import filter_view

Array = np.ndarray[Any, Any]

_NAMES = ("squares", "gradients", "radial", "steps", "radial_steps")

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
"""Makes the optimizer of all of a model's parameters."""


@dataclass(frozen=True)
class Trajectory:
    """Some updates of all scale-invariant filters, those of all weights in a row, in float64.

    Attributes:
        squares: ``(updates + 1, filters)`` ``‖w‖²`` before each update and after the last.
        gradients: ``(updates, filters)`` ``‖g‖²``.
        radial: ``(updates, filters)`` ``⟨w, g⟩``.
        steps: ``(updates, filters)`` ``‖w' − w‖²``.
        radial_steps: ``(updates, filters)`` ``⟨w, w' − w⟩``.
        rounding: The relative rounding error of the network's precision.
    """

    squares: Array
    gradients: Array
    radial: Array
    steps: Array
    radial_steps: Array
    rounding: float

    @property
    def growth(self) -> Array:
        """``(updates, filters)`` ``‖w'‖² − ‖w‖²``."""
        return self.squares[1:] - self.squares[:-1]

    @property
    def cosines(self) -> Array:
        """``(updates, filters)`` ``|⟨w, g⟩| / (‖w‖ ‖g‖)``; NaN without a gradient (:meth:`trained`)."""
        sizes = np.sqrt(self.squares[:-1] * self.gradients)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.trained, np.abs(self.radial) / sizes, np.nan)

    @property
    def trained(self) -> Array:
        """``(updates, filters)`` whether a filter has a gradient that is more than rounding.

        That is one whose ``‖w‖ ‖g‖``, which no scale changes, is above ε^0.6 of the network's largest: 4e-10
        in float64. A BN over two values gives ±1 whatever these are, and a gradient of nothing but rounding.
        """
        sizes = np.sqrt(self.squares[:-1] * self.gradients)
        return np.asarray(sizes > self.rounding**0.6 * sizes.max(axis=1, keepdims=True))


def follow(
    subject: Subject, make_optimizer: MakeOptimizer, updates: int, batch: int | None = None
) -> Trajectory:
    """Train a network, and take down what becomes of its filters.

    Args:
        subject: What is trained: its model changes.
        make_optimizer: Of all of its parameters.
        updates: How many.
        batch: The one that every update sees; None for one after the other.

    Raises:
        NotFiniteError: The loss is not finite.
    """
    subject.model.train()
    weights = subject.weights()
    optimizer = make_optimizer([p for p in subject.model.parameters() if p.requires_grad])
    views = [filter_view(weight.parameter.detach(), weight.transposed_groups) for weight in weights]
    rows: dict[str, list[Array]] = {name: [] for name in _NAMES}
    for number in range(updates):
        optimizer.zero_grad()
        subject.loss(number if batch is None else batch).backward()
        before = [view.clone() for view, _ in views]
        gradients = []
        for weight, (view, _) in zip(weights, views, strict=True):
            gradient = weight.parameter.grad
            gradients.append(
                torch.zeros_like(view)
                if gradient is None
                else filter_view(gradient, weight.transposed_groups)[0].clone()
            )
        optimizer.step()
        steps = [view - old for (view, _), old in zip(views, before, strict=True)]
        inside = [dims for _, dims in views]
        rows["squares"].append(_products(before, before, inside))
        rows["gradients"].append(_products(gradients, gradients, inside))
        rows["radial"].append(_products(before, gradients, inside))
        rows["steps"].append(_products(steps, steps, inside))
        rows["radial_steps"].append(_products(before, steps, inside))
    last = [view for view, _ in views]
    rows["squares"].append(_products(last, last, [dims for _, dims in views]))
    rounding = torch.finfo(subject.dtype).eps
    return Trajectory(**{name: np.stack(values) for name, values in rows.items()}, rounding=rounding)


def _products(a: list[Tensor], b: list[Tensor], inside: list[tuple[int, ...]]) -> Array:
    """``(filters,)`` inner products of the filters of all weights."""
    listed = [(x * y).sum(dims).flatten() for x, y, dims in zip(a, b, inside, strict=True)]
    products: Array = torch.cat(listed).double().numpy()
    return products
