"""What docs/launch.md derives of learning rates, norms and turns, held against simulated filters."""

from __future__ import annotations

import math

import pytest
import torch


def simulate(
    lr: float,
    decay: float = 0.0,
    *,
    size: float = 1.0,
    momentum: float = 0.0,
    rescale: bool = False,
    steps: int = 1500,
) -> tuple[float, float]:
    """Train 32 filters of 256 numbers on noise that is orthogonal to each and ``size`` / norm long.

    Args:
        lr: Learning rate.
        decay: Weight decay.
        size: Length of the gradient of a filter of norm 1.
        momentum: Of SGD.
        rescale: Put norms back to 1 after each update.
        steps: How many updates.

    Returns:
        The mean norm after the last update, and how far that update turned the filters, in radians.
    """
    generator = torch.Generator().manual_seed(0)
    filters = torch.nn.functional.normalize(torch.randn(32, 256, generator=generator, dtype=torch.float64))
    update = torch.zeros_like(filters)
    turn = 0.0
    for _ in range(steps):
        norms = filters.norm(dim=1, keepdim=True)
        directions = filters / norms
        noise = torch.randn(filters.shape, generator=generator, dtype=torch.float64)
        noise -= (noise * directions).sum(1, keepdim=True) * directions
        gradients = size * torch.nn.functional.normalize(noise) / norms
        update = momentum * update + gradients + decay * filters
        filters = filters - lr * update
        if rescale:
            filters = torch.nn.functional.normalize(filters)
        cosines = torch.nn.functional.cosine_similarity(filters, directions)
        turn = cosines.clamp(max=1).acos().pow(2).mean().sqrt().item()
    return filters.norm(dim=1).mean().item(), turn


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_with_wrs_a_factor_on_the_learning_rate_is_one_on_every_turn(factor: int) -> None:
    _, turn = simulate(0.02 * factor, size=0.5, rescale=True, steps=3)
    assert turn == pytest.approx(0.02 * 0.5 * factor, rel=1e-3)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("size", [0.5, 1.0])
def test_with_weight_decay_it_is_its_root_and_the_gradients_size_is_none(factor: int, size: float) -> None:
    lr, decay = 0.05 * factor, 0.02
    norm, turn = simulate(lr, decay, size=size)
    assert norm == pytest.approx((lr * size**2 / (2 * decay)) ** 0.25, rel=0.01)
    assert turn == pytest.approx(math.sqrt(2 * lr * decay), rel=0.01)


def test_the_fourth_power_of_the_norm_comes_to_rest_by_four_lr_decay_each_update() -> None:
    lr, decay, steps = 0.1, 0.005, 400
    rest = lr / (2 * decay)
    norm, _ = simulate(lr, decay, steps=steps)
    left = (rest - norm**4) / (rest - 1)
    assert left == pytest.approx(math.exp(-4 * lr * decay * steps), rel=0.02)


def test_momentum_takes_part_in_the_norm_as_a_larger_learning_rate() -> None:
    norm, _ = simulate(0.02, 0.02, momentum=0.8)
    assert norm == pytest.approx((0.02 / (1 - 0.8) / (2 * 0.02)) ** 0.25, rel=0.01)
