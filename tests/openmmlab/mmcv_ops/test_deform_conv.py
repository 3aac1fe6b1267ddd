"""Deformable convolutions agree with ordinary ones where they must, and with their gradients."""

from __future__ import annotations

import functools
import sys

import pytest
import torch
import torch.nn.functional as F
from plain_deform_conv import plain_deform_conv

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


def first_numbers(tensor, channels, size):
    """What mmcv's kernels read of a larger tensor: they index each image's numbers by the output's size."""
    return tensor.flatten(1)[:, : channels * size[0] * size[1]].reshape(-1, channels, *size)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_of_offsets_larger_than_the_output_the_first_numbers_are_read(geometry, layout):
    x, weight, plain = tensors(geometry)
    deform_groups, size = geometry[-1], plain.shape[2:]
    larger = (2 * size[0], size[1] + 3)
    offset = random(2, 12 * deform_groups, *larger, seed=6).to(memory_format=layout).requires_grad_()
    mask = random(2, 6 * deform_groups, *larger, seed=7).to(memory_format=layout).requires_grad_()
    out = modulated_deform_conv2d(x, offset, mask, weight, None, *geometry)
    read = first_numbers(offset, 12 * deform_groups, size), first_numbers(mask, 6 * deform_groups, size)
    expected = plain_deform_conv(x, *read, weight, None, *geometry)
    torch.testing.assert_close(out, expected)
    given = torch.autograd.grad(out.square().sum(), [offset, mask])
    for mine, other in zip(given, torch.autograd.grad(expected.square().sum(), [offset, mask]), strict=True):
        assert mine.any() and not mine.all()
        torch.testing.assert_close(mine, other)


def test_offsets_smaller_than_the_output_are_refused():
    x, weight, plain = tensors(GEOMETRIES[0])
    offset, mask = x.new_zeros(2, 12, 3, 3), x.new_zeros(2, 6, *plain.shape[2:])
    with pytest.raises(RuntimeError, match="offset"):
        modulated_deform_conv2d(x, offset, mask, weight, None, *GEOMETRIES[0])


def test_dyhead_trains():
    from mmdet.models.necks import DyHead

    torch.manual_seed(0)
    neck = DyHead(16, 16, num_blocks=2, zero_init_offset=False).double()
    levels = [random(2, 16, side, side * 3 // 2, seed=side).requires_grad_() for side in (16, 8, 4)]
    convolve = []
    for block in neck.dyhead_blocks:
        for layer in (block.spatial_conv_high, block.spatial_conv_mid, block.spatial_conv_low):
            convolve.append(layer.conv)
    leaves = [*levels, *neck.parameters()]

    def outputs_and_gradients():
        outs = neck(levels)
        return [*outs, *torch.autograd.grad(sum(out.square().sum() for out in outs), leaves)]

    ours = outputs_and_gradients()
    assert [tuple(out.shape) for out in ours[:3]] == [tuple(level.shape) for level in levels]
    for conv in convolve:
        conv.forward = functools.partial(plain_layer, conv)
    for mine, expected in zip(ours, outputs_and_gradients(), strict=True):
        torch.testing.assert_close(mine, expected)


def plain_layer(conv, x, offset, mask):
    size = F.conv2d(x, conv.weight, None, conv.stride, conv.padding).shape[2:]
    read = first_numbers(offset, 18, size), first_numbers(mask, 9, size)
    return plain_deform_conv(x, *read, conv.weight, None, conv.stride, conv.padding, (1, 1), 1, 1)


def layouts(tensor):
    """The same numbers, otherwise in memory."""
    spread = torch.stack([tensor, tensor], dim=-1)[..., 0]
    return {"channels_last": tensor.to(memory_format=torch.channels_last), "strided": spread}


@pytest.mark.parametrize("layout", ["channels_last", "strided"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_how_tensors_lie_in_memory_does_not_matter(geometry, layout):
    x, weight, plain = tensors(geometry)
    offset = random(2, 12 * geometry[-1], *plain.shape[2:], seed=8)
    mask = random(2, 6 * geometry[-1], *plain.shape[2:], seed=9)
    results = []
    for change in (lambda t: t.clone(), lambda t: layouts(t)[layout]):
        leaves = [change(t).detach().requires_grad_() for t in (x, offset, mask, weight)]
        one = deform_conv2d(leaves[0], leaves[1], leaves[3], *geometry)
        two = modulated_deform_conv2d(*leaves, None, *geometry)
        assert one.is_contiguous() and two.is_contiguous()
        gradient = change(random(*plain.shape, seed=10))
        results.append([one, two, *torch.autograd.grad([one, two], leaves, [gradient, gradient])])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_an_empty_batch_gives_an_empty_output_and_zero_gradients():
    # Called as mmcv's layers call them; those refuse an empty batch before they do.
    x, weight, plain = tensors(GEOMETRIES[0])
    x, offset, mask, out = x[:0], x.new_zeros(0, 12, 6, 8), x.new_zeros(0, 6, 6, 8), plain[:0]
    scratch, numbers = x.new_empty(0), (3, 2, 1, 1, 1, 1, 1, 1, 1, 1)
    ext = sys.modules["mmcv._ext"]
    bias = weight.new_zeros(6)
    ext.modulated_deform_conv_forward(
        x, weight, bias, scratch, offset, mask, out, scratch, *numbers, with_bias=True
    )
    gradients = [torch.full_like(t, 7) for t in (x, weight, bias, offset, mask)]
    ext.modulated_deform_conv_backward(
        x, weight, bias, scratch, offset, mask, scratch, *gradients, out, *numbers, with_bias=True
    )
    assert not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_in_half_precision_it_is_close_to_double(geometry, dtype):
    x, weight, plain = tensors(geometry)
    offset = random(2, 12 * geometry[-1], *plain.shape[2:], seed=11)
    mask = random(2, 6 * geometry[-1], *plain.shape[2:], seed=12)
    results = []
    for final in (dtype, torch.float64):
        leaves = [t.to(dtype).to(final).requires_grad_() for t in (x, offset, mask, weight)]
        one = deform_conv2d(leaves[0], leaves[1], leaves[3], *geometry)
        two = modulated_deform_conv2d(*leaves, None, *geometry)
        assert one.dtype == two.dtype == final
        results.append([one, two, *torch.autograd.grad(one.sum() + two.sum(), [leaves[0], leaves[3]])])
    for half, double in zip(*results, strict=True):
        assert (half.double() - double).norm() < 0.02 * double.norm()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_layers_work_under_autocast(dtype):
    torch.manual_seed(0)
    layer = ModulatedDeformConv2dPack(4, 6, 3, padding=1)
    x = random(2, 4, 6, 7).float()
    with torch.autocast("cpu", dtype):
        out = layer(x)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), layer(x), rtol=0.05, atol=0.05)
    out.float().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in layer.parameters())


def test_torchvision_s_backward_runs_once_a_backward(monkeypatch):
    from wrs_mm.openmmlab.mmcv_ops import deform_conv

    calls = []
    gradients = deform_conv._gradients
    monkeypatch.setattr(deform_conv, "_gradients", lambda *args: calls.append(1) or gradients(*args))
    x, weight, plain = tensors(GEOMETRIES[0])
    leaves = [t.requires_grad_() for t in (x, random(2, 12, *plain.shape[2:]), weight)]
    out = deform_conv2d(*leaves, *GEOMETRIES[0])
    out.sum().backward()
    assert len(calls) == 1


def test_each_backward_has_the_weight_gradient_of_its_own():
    x, weight, plain = tensors(GEOMETRIES[0])
    offset = random(2, 12, *plain.shape[2:], seed=13)
    x, weight = x.requires_grad_(), weight.requires_grad_()
    # Two convolutions with one gradient, one with two gradients, one of which only the input's is asked.
    out = deform_conv2d(x, offset, weight, *GEOMETRIES[0])
    twin = deform_conv2d(2 * x, offset, weight, *GEOMETRIES[0])
    gradient = random(*plain.shape, seed=14)

    def of_weight(out, gradient, leaves):
        return torch.autograd.grad(out, leaves, gradient, retain_graph=True)[-1]

    first = of_weight(out, gradient, [x, weight])
    torch.testing.assert_close(of_weight(out + twin, gradient, [x, weight]), 3 * first)
    of_weight(out, gradient, [x])
    torch.testing.assert_close(of_weight(out, 5 * gradient, [weight]), 5 * first)
    torch.testing.assert_close(of_weight(out, gradient, [weight]), first)
    of_weight(out, gradient, [x])
    gradient.mul_(7)
    torch.testing.assert_close(of_weight(out, gradient, [weight]), 7 * first)
