"""The gradient stands at a right angle to a scale-invariant filter, but for what the ε of BN lets through.

With z the filter's output, v its variance over the batch and ``y = (z − mean) / √(v + ε)`` what BN makes of
it before its γ and β, multiplying the filter by ``1 + δ`` changes y by ``δ ε / (v + ε) y``. So::

    ⟨w, ∂L/∂w⟩ = ε / (v + ε) ⟨y, ∂L/∂y⟩

summed over all calls of all BN that the filter feeds: exactly, and next to nothing while ε is small beside v.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wrs_mm.probe.subject import Subject
from wrs_mm.probe.trajectory import Array


def radial_by_eps(subject: Subject, batch: int = 0) -> Array:
    """What ``⟨w, ∂L/∂w⟩`` of each filter is by the equation above.

    Args:
        subject: Its gradients are replaced.
        batch: Which of its batches.

    Returns:
        ``(filters,)``; NaN for those that feed another norm layer than BN, whose statistics are each image's.
    """
    modules = dict(subject.model.named_modules())
    norms = {feed.norm for verdict in subject.verdicts for feed in verdict.feeds}
    calls = {name: _Calls() for name in norms if isinstance(modules.get(name), _BatchNorm)}
    handles = [modules[name].register_forward_hook(its.take) for name, its in calls.items()]
    subject.model.zero_grad()
    try:
        subject.loss(batch).backward()
    finally:
        for handle in handles:
            handle.remove()
    radial = []
    for verdict, place in zip(subject.verdicts, subject.filters().values(), strict=True):
        total = torch.zeros(place.stop - place.start, dtype=torch.float64)
        for feed in verdict.feeds:
            filters = torch.tensor(feed.filters)
            fed = filters >= 0
            of_channels = calls[feed.norm].sums() if feed.norm in calls else torch.full(fed.shape, torch.nan)
            total.index_add_(0, filters[fed], of_channels[fed].double())
        radial.append(total)
    return np.asarray(torch.cat(radial))


class _Calls:
    """The calls of one BN in a forward: ``ε / (v + ε) ⟨y, ∂L/∂y⟩`` of each channel, after the backward."""

    def __init__(self) -> None:
        self._made: list[tuple[Tensor, Tensor, list[Tensor]]] = []

    def take(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """A forward hook."""
        z = args[0].detach()
        over = [0, *range(2, z.dim())]
        eps = float(module.eps)
        share = eps / (z.var(over, correction=0) + eps)
        # A copy: what follows may work in place, such as ReLU. γ y is what β is added to.
        scaled = output.detach().clone()
        if module.bias is not None:
            scaled -= module.bias.detach().view(-1, *[1] * (z.dim() - 2))
        gradients: list[Tensor] = []
        if output.requires_grad:
            output.register_hook(gradients.append)
        self._made.append((share, scaled, gradients))

    def sums(self) -> Tensor:
        """``(channels,)`` over all calls."""
        total = torch.zeros_like(self._made[0][0])
        for share, scaled, gradients in self._made:
            for gradient in gradients:
                total += share * (scaled * gradient).sum([0, *range(2, gradient.dim())])
        return total
