"""Patches are what a layer multiplies its filters with, and what their gradients are sums of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmcv.cnn import ConvWS2d
from torch import nn
from torchvision.ops import DeformConv2d

from wrs_mm.features.patches import grouped_filters, groups_of, owners, patches, reach, sees_patches

CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": (2, 0), "dilation": (1, 2)},
    {"padding": "same", "dilation": 2},
    {"padding": 1, "padding_mode": "reflect"},
    {"groups": 2, "padding": 1, "stride": (1, 2)},
    {"groups": 4, "bias": False},
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_outputs_and_gradients_are_those_of_the_convolution(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 8, 3, **options).double()
    x = torch.randn(2, 4, 7, 9, dtype=torch.float64)
    output = layer(x)
    delta = torch.randn_like(output)
    output.backward(delta)
    seen, filters = patches(layer, x), grouped_filters(layer, layer.weight.detach())
    made = torch.einsum("gpd,gfd->gfp", seen, filters)
    if layer.bias is not None:
        made = made + layer.bias.detach().view(groups_of(layer), -1, 1)
    expected = output.detach().permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(made.flatten(0, 1), expected, rtol=0, atol=1e-13)
    deltas = delta.permute(1, 0, 2, 3).reshape(groups_of(layer), filters.shape[1], -1)
    gradient = torch.einsum("gfp,gpd->gfd", deltas, seen)
    assert layer.weight.grad is not None
    torch.testing.assert_close(gradient, grouped_filters(layer, layer.weight.grad), rtol=0, atol=1e-12)


def test_an_image_without_a_batch_and_a_linear_layer() -> None:
    layer, image = nn.Conv2d(3, 2, 2), torch.randn(3, 4, 4)
    assert torch.equal(patches(layer, image), patches(layer, image[None]))
    linear, x = nn.Linear(5, 2), torch.randn(2, 3, 5)
    assert torch.equal(patches(linear, x)[0], x.flatten(0, 1))


def test_layers_whose_patches_are_others_are_not_taken_for_convolutions() -> None:
    from mmcv.cnn.bricks.wrappers import Conv2d

    assert all(map(sees_patches, [nn.Conv2d(1, 1, 1), Conv2d(1, 1, 1), nn.Linear(1, 1)]))
    others = [nn.ConvTranspose2d(1, 1, 1), nn.Conv1d(1, 1, 1), DeformConv2d(1, 1, 1), nn.BatchNorm2d(1)]
    assert not any(map(sees_patches, others))


def test_a_shared_weight_has_several_owners() -> None:
    layers = nn.ModuleList([nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)])
    layers[2].weight = layers[0].weight
    assert owners(layers, "0.weight") == [layers[0], layers[2]]


@pytest.mark.parametrize("few", [1, 2])
def test_gradients_of_a_standardized_filter_are_of_patches_ones_and_the_filter_itself(few: int) -> None:
    """In float64, on so few patches that they do not span all: what lies outside gets no gradient."""
    torch.manual_seed(0)
    layer = ConvWS2d(4, 3, 3, bias=False).double()
    x = torch.randn(1, 4, 3, 2 + few, dtype=torch.float64)
    (layer(x) * torch.randn(1, 3, 1, few)).sum().backward()
    assert layer.weight.grad is not None
    gradient = layer.weight.grad.flatten(1)
    directions = reach(layer, x)[0]
    assert len(directions) == few + 1
    outside = []
    for g, w in zip(gradient, layer.weight.detach().flatten(1), strict=True):
        for rows in (torch.cat([directions, w[None]]), directions[:-1]):
            basis = torch.linalg.qr(rows.T)[0]
            outside.append(float((g - basis @ (basis.T @ g)).norm() / g.norm()))
    assert max(outside[::2]) < 1e-14
    # Without them something is left.
    assert min(outside[1::2]) > 1e-3
    plain = nn.Conv2d(4, 3, 3, bias=False).double()
    assert reach(plain, x).equal(patches(plain, x))
