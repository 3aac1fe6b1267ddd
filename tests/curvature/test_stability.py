"""Steps on a quadratic grow above the bound and shrink below it, simulated."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from wrs_mm.curvature import largest_stable_sharpness

SETTINGS = [
    {"momentum": 0.0},
    {"momentum": 0.9},
    {"momentum": 0.5},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.3, "nesterov": True},
]


def after(sharpness: float, settings: dict[str, Any], steps: int = 3000) -> float:
    x = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.1, **settings)
    for _ in range(steps):
        x.grad = sharpness * x.detach()
        optimizer.step()
    return abs(float(x))


@pytest.mark.parametrize("settings", SETTINGS)
def test_it_is_where_steps_begin_to_grow(settings: dict[str, Any]) -> None:
    bound = largest_stable_sharpness(torch.optim.SGD([torch.ones(1)], lr=0.1, **settings))
    assert bound is not None
    assert after(bound * 0.99, settings) < 1e-6
    assert after(bound * 1.01, settings) > 1e6


def test_of_several_groups_the_least_counts_and_empty_ones_do_not() -> None:
    groups: list[dict[str, Any]] = [
        {"params": [torch.ones(1)], "lr": 0.1},
        {"params": [torch.ones(1)], "lr": 0.2},
        {"params": [torch.ones(1)], "lr": 0.0},
        {"params": [], "lr": 5.0},
    ]
    assert largest_stable_sharpness(torch.optim.SGD(groups, lr=1.0)) == pytest.approx(10)


def test_there_is_none_for_what_has_another_condition() -> None:
    weights = [torch.ones(1)]
    assert largest_stable_sharpness(torch.optim.AdamW(weights)) is None
    assert largest_stable_sharpness(torch.optim.SGD(weights, lr=0.1, momentum=0.9, dampening=0.5)) is None
    assert largest_stable_sharpness(torch.optim.SGD(weights, lr=0.0)) is None
