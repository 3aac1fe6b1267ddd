"""Optimizers by hand, and a training whose gradients are given: what step rules are held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from wrs_mm.rescaling import RuledSteps, StepRule

LEARNING_RATES = (0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.2)
"""Of the updates of a training by hand: it falls, and rises again."""

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"type": torch.optim.SGD},
    "momentum": {"type": torch.optim.SGD, "momentum": 0.9},
    "nesterov": {"type": torch.optim.SGD, "momentum": 0.8, "nesterov": True},
    "fused": {"type": torch.optim.SGD, "fused": True},
    "adam": {"type": torch.optim.Adam, "betas": (0.8, 0.95)},
    "adamw": {"type": torch.optim.AdamW, "betas": (0.9, 0.99)},
}
"""By name: class and options of torch's."""


def update_by_hand(name: str) -> Callable[[Tensor], Tensor]:
    """What the optimizer subtracts, times the learning rate, when it is given one gradient after another."""
    options = OPTIMIZERS[name]
    memory: dict[str, Any] = {"steps": 0}

    def descend(gradient: Tensor) -> Tensor:
        momentum = options.get("momentum", 0.0)
        buffer = memory["buffer"] = momentum * memory.get("buffer", 0.0) + gradient
        return gradient + momentum * buffer if options.get("nesterov") else buffer

    def adapt(gradient: Tensor) -> Tensor:
        one, two = options["betas"]
        memory["steps"] += 1
        first = memory["first"] = one * memory.get("first", 0.0) + (1 - one) * gradient
        second = memory["second"] = two * memory.get("second", 0.0) + (1 - two) * gradient**2
        first = first / (1 - one ** memory["steps"])
        second = second / (1 - two ** memory["steps"])
        return first / (second.sqrt() + 1e-8)

    return adapt if "betas" in options else descend


class Training:
    """A convolution of three filters before a BN, in float64, with made-up gradients.

    Attributes:
        start: ``(3, 8)`` its filters when training began.
        gradients: ``(3, 8)`` each.
        steps: What rules its steps.
    """

    def __init__(self, rule: StepRule, optimizer: str, weight_decay: float = 0.05, **more: Any) -> None:
        generator = torch.Generator().manual_seed(0)
        self.model = nn.Sequential(nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3)).double()
        with torch.no_grad():
            self.weight.copy_(torch.randn(3, 2, 2, 2, generator=generator, dtype=torch.float64))
        self.start = self.filters
        self.gradients = [torch.randn(3, 8, generator=generator, dtype=torch.float64) for _ in LEARNING_RATES]
        options = {k: v for k, v in OPTIMIZERS[optimizer].items() if k != "type"}
        self.optimizer = OPTIMIZERS[optimizer]["type"](
            self.model.parameters(), lr=LEARNING_RATES[0], weight_decay=weight_decay, **options
        )
        self.steps = RuledSteps(self.model, self.optimizer, rule, **more)
        with self.steps.observing():
            self.model(torch.randn(2, 2, 5, 5, generator=generator, dtype=torch.float64)).sum()

    @property
    def weight(self) -> Tensor:
        return self.model[0].weight

    @property
    def filters(self) -> Tensor:
        """A copy, ``(3, 8)``."""
        return self.weight.detach().flatten(1).clone()

    def step(self, gradient: Tensor, lr: float) -> Tensor:
        """The filters after an update."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.weight.grad = gradient.view_as(self.weight).clone()
        self.optimizer.step()
        return self.filters

    def run(self) -> list[Tensor]:
        """The filters after each update."""
        return [self.step(g, lr) for g, lr in zip(self.gradients, LEARNING_RATES, strict=True)]


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    """Float64 against float64, after each update."""
    assert len(found) == len(expected) == len(LEARNING_RATES)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def norms(filters: Tensor) -> Tensor:
    """``(3, 1)``."""
    return filters.square().sum(1, keepdim=True).sqrt()
