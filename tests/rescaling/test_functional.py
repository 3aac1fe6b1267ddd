"""The arithmetic of weight rescaling, against the definitions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from wrs_mm.rescaling.functional import (
    filter_norms,
    filter_view,
    fold,
    largest_foldable_norm,
    norm_dtype,
    number_of_filters,
    rescale_,
    rescale_factors,
)

LAYERS = {
    "linear": nn.Linear(5, 4),
    "convolution": nn.Conv2d(4, 6, 3, groups=2),
    "transposed": nn.ConvTranspose2d(4, 6, 3),
    "transposed with groups": nn.ConvTranspose2d(4, 6, 3, groups=2),
}


def groups_of(layer: nn.Module) -> int:
    return layer.groups if getattr(layer, "transposed", False) else 0


def outputs(layer: nn.Module, weight: Tensor) -> Tensor:
    """``(out, …)`` the layer's output without its bias."""
    shape = (2, 5) if isinstance(layer, nn.Linear) else (2, 4, 5, 5)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    given = {"weight": weight, "bias": torch.zeros_like(layer.bias)}
    return torch.func.functional_call(layer, given, (x,)).movedim(1, 0)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_filter_is_what_one_output_channel_is_linear_in(kind: str) -> None:
    layer = LAYERS[kind]
    weight, groups = layer.weight.detach().clone(), groups_of(layer)
    before = outputs(layer, weight)
    factors = torch.arange(1.0, len(before) + 1)
    assert number_of_filters(weight.shape, groups) == len(before)
    norms = filter_norms(weight, groups)
    rescale_(weight, factors, groups)
    after = outputs(layer, weight)
    torch.testing.assert_close(after, before * factors.view(-1, *[1] * (before.dim() - 1)))
    torch.testing.assert_close(filter_norms(weight, groups), norms * factors)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_weight_is_seen_not_copied_whatever_its_memory_format(kind: str) -> None:
    layer = LAYERS[kind]
    weight = layer.weight.detach().clone()
    if weight.dim() == 4:
        weight = weight.contiguous(memory_format=torch.channels_last)
    strides = weight.stride()
    filters, inside = filter_view(weight, groups_of(layer))
    filters.zero_()
    assert not weight.any() and weight.stride() == strides
    assert [d for d in range(filters.dim()) if d not in inside] == ([0, 2] if groups_of(layer) else [0])


def test_the_norm_of_the_whole_weight_is_one_number() -> None:
    weight = torch.randn(4, 6, 3, 3)
    torch.testing.assert_close(filter_norms(weight, 2, "layer"), weight.norm().view(1))
    rescale_(weight, torch.tensor([0.5]), 2)
    torch.testing.assert_close(filter_norms(weight, 2, "layer"), weight.norm().view(1))


@pytest.mark.parametrize(
    ("dtype", "computed"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_norms_are_computed_in_float32_or_wider(dtype: torch.dtype, computed: torch.dtype) -> None:
    assert norm_dtype(dtype) == computed
    weight = torch.full((2, 1000), 100.0).to(dtype)  # the sum of squares is more than float16 holds
    norms = filter_norms(weight)
    assert norms.dtype == computed
    torch.testing.assert_close(norms, torch.full_like(norms, 100.0 * 1000**0.5))


def test_dead_nonfinite_and_unfoldable_filters_have_factor_one() -> None:
    norms = torch.tensor([2.0, 0.0, 1e-9, torch.nan, torch.inf, 50.0])
    smallest = torch.full_like(norms, 1e-8)
    largest = torch.full_like(norms, 10.0)
    factors = rescale_factors(norms, torch.full_like(norms, 3.0), smallest, largest)
    assert factors.tolist() == [1.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rescale_factors(norms[:1], 1.0, smallest[:1], largest[:1]).tolist() == [0.5]


@pytest.mark.parametrize("bias", [0.0, torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)])
def test_folded_statistics_give_the_output_that_it_was(bias: Tensor | float) -> None:
    generator = torch.Generator().manual_seed(0)
    y, mean, var, c = torch.rand(4, 3, generator=generator, dtype=torch.float64)
    eps = 0.01
    var[0] = 1e-4  # the new one is negative, and right
    c[0] = 0.2
    new_mean, new_var = fold(mean, var, eps, c, bias)
    assert float(new_var[0]) < 0 < float(new_var[0]) + eps
    before = (y + bias - mean) / (var + eps).sqrt()
    torch.testing.assert_close((c * y + bias - new_mean) / (new_var + eps).sqrt(), before)


def test_the_largest_foldable_norm_leaves_a_variance_that_float32_can_hold() -> None:
    var, eps, target = torch.tensor([1.0, 1e-5]), 1e-5, 2.0
    largest = largest_foldable_norm(var, eps, target)
    factors = target / largest
    torch.testing.assert_close(factors.square() * (var + eps), torch.full_like(var, 1e-3 * eps))
