"""Deformable convolutions agree with ordinary ones where they must, and with their gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

from mmcv.ops import (  # noqa: E402
    DeformConv2d,
    ModulatedDeformConv2dPack,
    deform_conv2d,
    modulated_deform_conv2d,
)

# stride, padding, dilation, groups, groups of offsets; sides differ, to tell x from y
GEOMETRIES = [
    ((1, 1), (1, 1), (1, 1), 1, 1),
    ((2, 1), (0, 2), (1, 2), 1, 2),
    ((1, 2), (2, 1), (2, 1), 2, 1),
    ((2, 2), (1, 1), (1, 1), 2, 4),
]


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def tensors(geometry):
    """Input, weight of 3 × 2, and the shape of the output: a field of offsets has that size."""
    stride, padding, dilation, groups, _ = geometry
    x, weight = random(2, 4, 6, 7), random(6, 4 // groups, 3, 2, seed=1)
    plain = F.conv2d(x, weight, None, stride, padding, dilation, groups)
    return x, weight, plain


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_without_offsets_it_is_an_ordinary_convolution(geometry):
    x, weight, plain = tensors(geometry)
    offset = x.new_zeros(2, 2 * geometry[-1] * 6, *plain.shape[2:])
    torch.testing.assert_close(deform_conv2d(x, offset, weight, *geometry), plain)
    mask, bias = x.new_ones(2, geometry[-1] * 6, *plain.shape[2:]), random(6, seed=2)
    out = modulated_deform_conv2d(x, offset, mask, weight, bias, *geometry)
    torch.testing.assert_close(out, plain + bias[:, None, None])


def test_an_offset_of_one_cell_moves_the_image_by_one_cell():
    x, weight, plain = tensors(GEOMETRIES[0])
    offset = x.new_zeros(2, 6, 2, *plain.shape[2:])
    offset[:, :, 0] = 1  # y comes first
    moved = torch.cat([x[:, :, 1:], torch.zeros_like(x[:, :, :1])], dim=2)
    out = deform_conv2d(x, offset.flatten(1, 2), weight, *GEOMETRIES[0])
    expected = F.conv2d(moved, weight, None, *GEOMETRIES[0][:3])
    torch.testing.assert_close(out[:, :, 1:], expected[:, :, 1:])


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_gradients(geometry):
    x, weight, plain = tensors(geometry)
    # Bilinear interpolation has a kink at whole cells: stay away from them.
    offset = 0.2 + 0.6 * torch.rand(2, 12 * geometry[-1], *plain.shape[2:], dtype=torch.float64)
    inputs = [t.requires_grad_() for t in (x, offset, weight)]
    assert torch.autograd.gradcheck(lambda *t: deform_conv2d(*t, *geometry), inputs, fast_mode=True)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_gradients_with_a_mask(geometry, with_bias):
    x, weight, plain = tensors(geometry)
    offset = 0.2 + 0.6 * torch.rand(2, 12 * geometry[-1], *plain.shape[2:], dtype=torch.float64)
    mask = random(2, 6 * geometry[-1], *plain.shape[2:], seed=3)
    inputs = [t.requires_grad_() for t in (x, offset, mask, weight)]
    if with_bias:
        inputs.append(random(6, seed=4).requires_grad_())
    assert torch.autograd.gradcheck(
        lambda x, offset, mask, weight, bias=None: modulated_deform_conv2d(
            x, offset, mask, weight, bias, *geometry
        ),
        inputs,
        fast_mode=True,
    )


def test_im2col_step_does_not_change_the_result():
    x, weight, plain = tensors(GEOMETRIES[0])
    offset = random(2, 12, *plain.shape[2:], seed=5)
    results = []
    for step in (1, 2):
        leaves = [t.clone().requires_grad_() for t in (x, offset, weight)]
        out = deform_conv2d(*leaves, *GEOMETRIES[0], False, step)
        out.square().sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_a_weight_that_is_frozen_gets_no_gradient_and_the_others_do():
    layer = DeformConv2d(4, 6, (3, 2), padding=1).double()
    layer.weight.requires_grad_(False)
    x, offset = random(2, 4, 6, 7).requires_grad_(), random(2, 12, 6, 8).requires_grad_()
    layer(x, offset).sum().backward()
    assert layer.weight.grad is None
    assert x.grad.any() and offset.grad.any()


def test_the_modulated_layer_starts_as_half_a_convolution():
    torch.manual_seed(0)
    layer = ModulatedDeformConv2dPack(4, 6, 3, padding=1, deform_groups=2)
    x = random(2, 4, 6, 7).float()
    # conv_offset starts at zero: no offset, and a mask of sigmoid(0)
    expected = F.conv2d(x, layer.weight, None, padding=1) / 2 + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), expected)
    layer(x).sum().backward()
    assert all(p.grad.any() for p in layer.parameters())
