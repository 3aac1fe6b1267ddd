"""Products of a loss's Hessian with vectors, in all parameters and on the unit sphere of the filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from wrs_mm.errors import ModelError
from wrs_mm.rescaling.functional import filter_view

_ONCE = "torch::autograd::Error"
"""In a gradient's graph, what ``once_differentiable`` leaves there. Nothing would call it: the derivatives
that it stands for would be missing without a word."""

_UNMEASURABLE = (
    "the sharpness of this loss cannot be measured: an operation of the model is differentiable only once"
)


class HessianProduct:
    """``v ↦ ∇²L v`` by differentiating the gradient once more (Pearlmutter, «Fast exact multiplication by
    the Hessian», 1994).

    The graph of the gradient is kept: about twice the memory of a training step on the same batch. A product
    takes about two backward passes.

    Args:
        loss: ``()`` of a forward whose graph still stands.
        parameters: What the loss is a function of, floating, all of one dtype and device.

    Attributes:
        size: ``n``, how many numbers the parameters have together.

    Raises:
        ModelError: An operation of the forward cannot be differentiated twice.
    """

    def __init__(self, loss: Tensor, parameters: Sequence[Tensor]) -> None:
        self._parameters = list(parameters)
        self.size = sum(parameter.numel() for parameter in self._parameters)
        found = torch.autograd.grad(loss, self._parameters, create_graph=True, allow_unused=True)
        self._gradient = [g for g in found if g is not None and g.requires_grad]
        if any(node.name() == _ONCE for node in _nodes(self._gradient)):
            raise ModelError(_UNMEASURABLE)
        self._index = [i for i, g in enumerate(found) if g is not None and g.requires_grad]

    def __call__(self, vector: Tensor) -> Tensor:
        """The product.

        Args:
            vector: ``(n,)``, parameter after parameter.

        Returns:
            ``(n,)``.
        """
        parts = self.split(vector)
        try:
            products = torch.autograd.grad(
                self._gradient,
                self._parameters,
                [parts[i] for i in self._index],
                retain_graph=True,
                allow_unused=True,
            )
        except RuntimeError as error:
            if "double backwards" not in str(error):
                raise
            raise ModelError(f"{_UNMEASURABLE} ({str(error).splitlines()[0]})") from error
        return torch.cat(
            [
                torch.zeros_like(parameter).flatten() if product is None else product.flatten()
                for parameter, product in zip(self._parameters, products, strict=True)
            ]
        )

    def split(self, vector: Tensor) -> list[Tensor]:
        """The parts of a vector ``(n,)`` that belong to each parameter, in their shapes."""
        parts = vector.split([parameter.numel() for parameter in self._parameters])
        return [part.view(p.shape) for part, p in zip(parts, self._parameters, strict=True)]


def _nodes(tensors: Sequence[Tensor]) -> Iterator[Any]:
    """All nodes of the graph that made the tensors, each once."""
    waiting: list[Any] = [tensor.grad_fn for tensor in tensors]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
            yield node


class SphereHessianProduct:
    """``v ↦ P D ∇²L D P v``, the Hessian of a scale-invariant loss on the unit sphere of each filter.

    ``L(w) = L(w / ‖w‖)`` filter by filter, so that the Hessian at the unit filters is ``D ∇²L D``, ``D`` the
    filters' norms. A way on the sphere stays orthogonal to the filters: ``P`` takes away what lies along
    them. What the sphere's own curvature adds is ``⟨∇L, w⟩``, which is 0. All other parameters stand still.

    With other scales ``C`` it is ``P C ∇²L C P``. A step of gradient descent in which each filter has a
    factor ``ρ`` on the learning rate turns the filters as one without factors turns them in the coordinates
    ``w / √ρ``, where the Hessian has ``C = √ρ``: that is what the edge of stability ``2 / η`` is of.

    Args:
        loss: As in :class:`HessianProduct`.
        weights: Scale-invariant weights, each with its ``transposed_groups``
            (:func:`~wrs_mm.rescaling.functional.filter_view`).
        scales: ``C``, for each weight ``(filters,)`` or ``(1,)``, or a number; None for the filters' norms.

    Attributes:
        size: How many numbers the weights have together.
    """

    def __init__(
        self,
        loss: Tensor,
        weights: Sequence[tuple[Tensor, int]],
        scales: Sequence[Tensor | float] | None = None,
    ) -> None:
        self._product = HessianProduct(loss, [weight for weight, _ in weights])
        self.size = self._product.size
        self._groups = [groups for _, groups in weights]
        # A filter of zeros has no direction: its norm 0 leaves it out of the product.
        self._norms = [_filter_norms(weight.detach(), groups) for weight, groups in weights]
        self._units = [
            torch.where(norms > 0, filter_view(weight.detach(), groups)[0] / norms, 0.0)
            for (weight, groups), norms in zip(weights, self._norms, strict=True)
        ]
        self._scales = self._norms
        if scales is not None:
            self._scales = [
                torch.where(norms > 0, _for_each(scale, norms), 0.0)
                for norms, scale in zip(self._norms, scales, strict=True)
            ]

    def squared_norms(self) -> list[Tensor]:
        """Of the filters of each weight, ``(filters,)`` float64."""
        return [norms.flatten().double().square() for norms in self._norms]

    def __call__(self, vector: Tensor) -> Tensor:
        """The product.

        Args:
            vector: ``(n,)``, weight after weight.

        Returns:
            ``(n,)``.
        """
        return self._on_sphere(self._product(self._on_sphere(vector)))

    def _on_sphere(self, vector: Tensor) -> Tensor:
        """``C P v``, which is ``P C v``: a filter's scale is one number."""
        parts = []
        for part, groups, scale, unit in zip(
            self._product.split(vector), self._groups, self._scales, self._units, strict=True
        ):
            filters, inside = filter_view(part, groups)
            along = (filters * unit).sum(inside, keepdim=True)
            parts.append(((filters - along * unit) * scale).reshape(-1))
        return torch.cat(parts)


def _filter_norms(weight: Tensor, transposed_groups: int) -> Tensor:
    """Broadcastable to the filters as :func:`filter_view` sees them."""
    filters, inside = filter_view(weight, transposed_groups)
    return torch.linalg.vector_norm(filters, dim=inside, keepdim=True)


def _for_each(scale: Tensor | float, norms: Tensor) -> Tensor:
    """A weight's scales, broadcastable as its filters' norms are."""
    scales = torch.as_tensor(scale).to(norms)
    return scales.reshape(norms.shape if scales.numel() == norms.numel() else ())
