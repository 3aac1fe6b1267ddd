"""What samples at the border, beyond it and nowhere give, held against the rule of mmcv's kernels."""

from __future__ import annotations

import math

import pytest
import torch
from plain_deform_conv import plain_deform_conv

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

from mmcv.ops import deform_conv2d, modulated_deform_conv2d  # noqa: E402

# stride, padding, dilation, groups, groups of offsets
GEOMETRIES = [
    ((1, 1), (1, 1), (1, 1), 1, 1),
    ((1, 1), (1, 1), (1, 1), 2, 1),
    ((2, 1), (0, 2), (1, 2), 1, 2),
    ((1, 2), (2, 1), (2, 1), 2, 1),
    ((2, 2), (1, 1), (1, 1), 2, 4),
]
HEIGHT, WIDTH = 6, 7
# To within the image, to its border at -1 and at its size, and beyond.
STEPS = {"zero": [0.0], "whole": [-3.0, -2, -1, 0, 1, 2, 3], "any": [-2.5, -1, -0.25, 0, 0.5, 1, 1.75]}


def tensors(geometry, steps, dtype=torch.float64):
    """Input, offset, mask, weight of 3 × 2 and bias."""
    stride, padding, dilation, groups, deform_groups = geometry
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    x, weight = random(2, 4, HEIGHT, WIDTH), random(6, 4 // groups, 3, 2)
    size = torch.nn.functional.conv2d(x, weight, None, stride, padding, dilation, groups).shape[2:]
    choice = torch.randint(len(steps), (2, 12 * deform_groups, *size), generator=generator)
    offset = torch.tensor(steps, dtype=dtype)[choice]
    return [t.requires_grad_() for t in (x, offset, random(2, 6 * deform_groups, *size), weight, random(6))]


def gradients(out, leaves):
    weights = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape).to(out.dtype)
    return torch.autograd.grad(out, leaves, weights)


def assert_same(ours, plain, leaves, **tolerance):
    torch.testing.assert_close(ours.double(), plain.double(), **tolerance)
    for mine, expected in zip(gradients(ours, leaves), gradients(plain, leaves), strict=True):
        torch.testing.assert_close(mine.double(), expected.double(), **tolerance)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_outputs_and_gradients_are_those_of_mmcv_s_rule(geometry, steps):
    x, offset, mask, weight, bias = tensors(geometry, STEPS[steps])
    ours = deform_conv2d(x, offset, weight, *geometry)
    assert_same(ours, plain_deform_conv(x, offset, None, weight, None, *geometry), [x, offset, weight])
    ours = modulated_deform_conv2d(x, offset, mask, weight, bias, *geometry)
    plain = plain_deform_conv(x, offset, mask, weight, bias, *geometry)
    assert_same(ours, plain, [x, offset, mask, weight, bias])


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_they_are_in_single_precision_too(geometry):
    x, offset, mask, weight, bias = tensors(geometry, STEPS["any"], torch.float32)
    ours = modulated_deform_conv2d(x, offset, mask, weight, bias, *geometry)
    plain = plain_deform_conv(x, offset, mask, weight, bias, *geometry)
    assert_same(ours, plain, [x, offset, mask, weight, bias], rtol=1e-5, atol=1e-5)
    ours = deform_conv2d(x, offset, weight, *geometry)
    plain = plain_deform_conv(x, offset, None, weight, None, *geometry)
    assert_same(ours, plain, [x, offset, weight], rtol=1e-5, atol=1e-5)


def test_at_minus_one_there_is_no_gradient():
    offset = torch.zeros(1, 8, 3, 3, requires_grad=True)
    deform_conv2d(torch.ones(1, 1, 2, 2), offset, torch.ones(1, 1, 2, 2), 1, 1).sum().backward()
    # The first cell, moved along y: -1, 0 and 1 in an image of two rows.
    assert offset.grad[0, 0].tolist() == [[0, 0, 0], [0, 0, 0], [0, -1, -1]]


@pytest.mark.parametrize("position", [-1.0, 2.0])
def test_what_rounds_to_the_border_lies_there(position):
    # In float32 the sum of -1 and 1e-9 is -1: mmcv adds first and looks then.
    offset = torch.full((1, 2, 1, 1), 1e-9 if position < 0 else -1e-9)
    offset = (offset + (2 if position > 0 else 0)).requires_grad_()
    pad = 1 if position < 0 else 0
    out = deform_conv2d(torch.ones(1, 1, 2, 2), offset[..., :1, :1], torch.ones(1, 1, 1, 1), 4, pad)
    out.sum().backward()
    assert out.item() == 0
    assert (offset.grad == 0).all()


def spoiled(geometry, value, dtype=torch.float64):
    """Tensors with an offset of ``value`` for one sample: image 1, the first group, cell 2, at (1, 0)."""
    leaves = tensors(geometry, STEPS["any"], dtype)
    with torch.no_grad():
        leaves[1][1, 2 * 2, 1, 0] = value
    return leaves


@pytest.mark.parametrize("value", [math.inf, -math.inf])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_sample_at_infinity_lies_outside_the_image(geometry, value):
    x, offset, mask, weight, bias = spoiled(geometry, value)
    far = spoiled(geometry, -100.0)
    for conv, these in (
        (lambda x, o, m, w, b: deform_conv2d(x, o, w, *geometry), [0, 1, 3]),
        (lambda x, o, m, w, b: modulated_deform_conv2d(x, o, m, w, b, *geometry), [0, 1, 2, 3, 4]),
    ):
        ours, expected = conv(x, offset, mask, weight, bias), conv(*far)
        assert torch.equal(ours, expected)
        mine = gradients(ours, [(x, offset, mask, weight, bias)[i] for i in these])
        for one, other in zip(mine, gradients(expected, [far[i] for i in these]), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_an_offset_of_nan_makes_nan_of_what_it_takes_part_in_and_of_nothing_else(geometry, dtype):
    groups, deform_groups = geometry[3:]
    x, offset, mask, weight, bias = spoiled(geometry, math.nan, dtype)
    sampled = slice(0, 4 // deform_groups)  # channels that the sample's group of offsets is for
    reached = slice(0, 6) if groups == 1 or deform_groups == 1 else slice(0, 3)
    for ours, leaves in (
        (deform_conv2d(x, offset, weight, *geometry), (x, offset, weight)),
        (
            modulated_deform_conv2d(x, offset, mask, weight, bias, *geometry),
            (x, offset, mask, weight, bias),
        ),
    ):
        expected = torch.zeros_like(ours, dtype=torch.bool)
        expected[1, reached, 1, 0] = True
        assert torch.equal(ours.isnan(), expected)
        found = dict(zip([id(leaf) for leaf in leaves], gradients(ours, leaves), strict=True))
        expected = torch.zeros_like(x, dtype=torch.bool)
        expected[1, sampled] = True
        assert torch.equal(found[id(x)].isnan(), expected)
        expected = torch.zeros_like(offset, dtype=torch.bool)
        expected[1, 4:6, 1, 0] = True
        assert torch.equal(found[id(offset)].isnan(), expected)
        expected = torch.zeros_like(weight, dtype=torch.bool)
        expected[reached, : min(4 // deform_groups, 4 // groups), 1, 0] = True
        assert torch.equal(found[id(weight)].isnan(), expected)
        if id(mask) in found:
            expected = torch.zeros_like(mask, dtype=torch.bool)
            expected[1, 2, 1, 0] = True
            assert torch.equal(found[id(mask)].isnan(), expected)
            assert not found[id(bias)].isnan().any()
