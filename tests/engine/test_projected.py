"""timm's projected optimizers in mmengine: held against their authors' package and paper."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import pytest
import torch
from mmengine.registry import OPTIMIZERS
from torch import Tensor, nn

from wrs_mm.engine import projected
from wrs_mm.errors import ConfigError

adamp = pytest.importorskip("adamp")
pytest.importorskip("timm")

STEPS = 12
SHAPES = ((4, 3, 3, 3), (5, 7), (6,))
"""A convolution, whose gradients are made orthogonal by filter; a linear weight and a bias, as they come."""


def start() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64)) for shape in SHAPES]


def gradients(parameters: list[nn.Parameter], number: int) -> list[Tensor]:
    """Those of a step: random, but the convolution's has no part along its filters."""
    generator = torch.Generator().manual_seed(100 + number)
    found = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    w, g = parameters[0].detach().flatten(1), found[0].flatten(1)
    found[0] = (g - (g * w).sum(1, keepdim=True) / w.square().sum(1, keepdim=True) * w).view_as(found[0])
    return found


def trained(optimizer: type, **options: Any) -> list[Tensor]:
    parameters = start()
    made = optimizer(parameters, **options)
    for number in range(STEPS):
        for parameter, gradient in zip(parameters, gradients(parameters, number), strict=True):
            parameter.grad = gradient
        made.step()
    return [parameter.detach() for parameter in parameters]


def registered(name: str) -> Any:
    return lambda params, **options: OPTIMIZERS.build({"type": name, "params": params, **options})


def largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("name", "reference", "options"),
    [
        ("TimmAdamP", adamp.AdamP, {"lr": 0.02}),
        ("TimmAdamP", adamp.AdamP, {"lr": 0.02, "weight_decay": 0.5, "betas": (0.8, 0.95), "eps": 1e-6}),
        ("TimmAdamP", adamp.AdamP, {"lr": 0.02, "weight_decay": 0.5, "nesterov": True, "wd_ratio": 0.3}),
        ("TimmAdamP", adamp.AdamP, {"lr": 0.02, "weight_decay": 0.5, "delta": 0.0}),
        ("TimmSGDP", adamp.SGDP, {"lr": 0.02, "weight_decay": 0.5}),
        ("TimmSGDP", adamp.SGDP, {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.9, "nesterov": True}),
        (
            "TimmSGDP",
            adamp.SGDP,
            {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.9, "nesterov": True, "dampening": 0.2},
        ),
    ],
)
def test_they_are_their_authors_step_for_step(name: str, reference: type, options: dict[str, Any]) -> None:
    assert largest_difference(trained(registered(name), **options), trained(reference, **options)) < 1e-6


def by_hand(lr: float, momentum: float, weight_decay: float, *, project_buffer: bool) -> list[Tensor]:
    """SGDP without Nesterov as the paper states it (algorithm 1), each filter on its own."""
    parameters = start()
    buffers = [torch.zeros_like(p) for p in parameters]
    for number in range(STEPS):
        for p, g, buffer in zip(parameters, gradients(parameters, number), buffers, strict=True):
            buffer.mul_(momentum).add_(g)
            step, ratio = buffer.clone(), 1.0
            if p.dim() > 1:
                # By filter, else the whole weight; the linear weight is neither.
                for w, d, q in (
                    (p.detach().flatten(1), g.flatten(1), step.flatten(1)),
                    (p.detach().reshape(1, -1), g.reshape(1, -1), step.reshape(1, -1)),
                ):
                    cosine = (w * d).sum(1).abs() / (w.norm(dim=1) * d.norm(dim=1))
                    if cosine.max() < 0.1 / math.sqrt(w.shape[1]):
                        unit = w / w.norm(dim=1, keepdim=True)
                        step = (q - (q * unit).sum(1, keepdim=True) * unit).view_as(p)
                        ratio = 0.1
                        break
            if project_buffer:
                buffer.copy_(step)
            with torch.no_grad():
                p.mul_(1 - lr * weight_decay * ratio / (1 - momentum))
                p.sub_(lr * step)
    return [p.detach() for p in parameters]


def test_without_nesterov_sgdp_is_the_papers_whose_momentum_is_not_projected() -> None:
    options = {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}
    timm, authors = trained(registered("TimmSGDP"), **options), trained(adamp.SGDP, **options)
    assert largest_difference(timm, by_hand(**options, project_buffer=False)) < 1e-6
    # The authors' package projects the momentum buffer along with the step: another optimizer.
    assert largest_difference(authors, by_hand(**options, project_buffer=True)) < 1e-6
    assert largest_difference(timm, authors) > 1e-4


def test_what_is_missing_is_one_line_and_only_for_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "timm" else found(name))
    for name in (projected.SGDP, projected.ADAMP):
        with pytest.raises(ConfigError, match=rf"{name} needs timm, .*: pip install 'wrs-mm\[timm\]'$"):
            OPTIMIZERS.build({"type": name, "params": start(), "lr": 0.1})
    projected.require_timm("SGD")
