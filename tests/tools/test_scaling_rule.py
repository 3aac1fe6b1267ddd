"""What docs/launch.md derives of learning rates, norms and turns, held against filters that are trained.

Their gradients are made: noise that is orthogonal to each filter and ``size`` / norm long, as a layer
before BN has it. SGD and WeightRescaler are the real ones.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from wrs_mm.rescaling import WeightRescaler


def model(norm: float = 1.0) -> nn.Sequential:
    """32 filters of 256 numbers, of this norm, and the BN that makes them scale-invariant."""
    conv = nn.Conv1d(256, 32, 1, bias=False, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        filters = torch.randn(conv.weight.shape, generator=generator, dtype=torch.float64)
        conv.weight.copy_(norm * normalize(filters, dim=1))
    return nn.Sequential(conv, nn.BatchNorm1d(32, dtype=torch.float64))


def orthogonal_noise(weight: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """A gradient as a scale-invariant filter has it, without the rest of a network."""
    norms = weight.norm(dim=1, keepdim=True)
    directions = weight / norms
    noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    noise -= (noise * directions).sum(1, keepdim=True) * directions
    return size * normalize(noise, dim=1) / norms


def simulate(
    lr: float,
    decay: float = 0.0,
    *,
    size: float = 1.0,
    momentum: float = 0.0,
    norm: float = 1.0,
    target: str | None = None,
    steps: int = 1500,
) -> tuple[float, float]:
    """Train the filters.

    Args:
        lr: Learning rate.
        decay: Weight decay.
        size: Length of the gradient of a filter of norm 1.
        momentum: Of SGD.
        norm: That the filters begin with.
        target: WRS with this target; None trains without it.
        steps: How many updates.

    Returns:
        The mean norm after the last update, and how far that update turned the filters, in radians.
    """
    filters = model(norm)
    weight = filters[0].weight
    optimizer = torch.optim.SGD(filters.parameters(), lr=lr, momentum=momentum, weight_decay=decay)
    if target is not None:
        rescaler = WeightRescaler(filters, optimizer, target=target)
        with rescaler.observing():
            filters(torch.randn(2, 256, 3, dtype=torch.float64)).square().mean()
        assert [verdict.name for verdict in rescaler.rescaled] == ["0.weight"]
    generator = torch.Generator().manual_seed(1)
    before = weight.detach()
    for _ in range(steps):
        before = weight.detach().clone()
        weight.grad = orthogonal_noise(before, size, generator)
        optimizer.step()
    cosines = cosine_similarity(weight.detach(), before, dim=1)
    turn = cosines.clamp(max=1).acos().pow(2).mean().sqrt().item()
    return weight.detach().norm(dim=1).mean().item(), turn


@pytest.mark.parametrize("norm", [0.5, 2.0])
def test_a_gradient_is_orthogonal_to_its_filter_and_as_long_as_the_norm_is_small(norm: float) -> None:
    batch = torch.randn(8, 256, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gradients = []
    for scale in (1.0, norm):
        filters = model(scale)
        filters[1].eps = 1e-30
        weight = filters[0].weight
        filters(batch).pow(3).mean().backward()
        cosines = cosine_similarity(weight.grad, weight.detach(), dim=1)
        assert cosines.abs().max() < 1e-6
        gradients.append(weight.grad)
    torch.testing.assert_close(gradients[1] * norm, gradients[0], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_with_wrs_a_factor_on_the_learning_rate_is_one_on_every_turn(factor: int) -> None:
    # The recipe's weight decay is off on what is rescaled.
    norm, turn = simulate(0.02 * factor, 0.02, size=0.5, norm=1.7, target="unit", steps=3)
    assert norm == pytest.approx(1)
    assert turn == pytest.approx(0.02 * 0.5 * factor, rel=1e-3)


@pytest.mark.parametrize("norm", [0.5, 2.0])
def test_with_norms_as_at_the_start_the_effective_learning_rate_is_another_constant(norm: float) -> None:
    after, turn = simulate(0.02, 0.02, size=0.5, norm=norm, target="init", steps=3)
    assert after == pytest.approx(norm)
    assert turn == pytest.approx(0.02 * 0.5 / norm**2, rel=2e-3)


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
