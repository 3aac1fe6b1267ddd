"""Deformable convolution: ``deform_conv_*`` and ``modulated_deform_conv_*`` of ``mmcv._ext``.

Dai et al., Deformable Convolutional Networks, 2017; Zhu et al., Deformable ConvNets v2, 2018.
torchvision's operator computes both, with the same layout of offsets and masks. Where it differs from mmcv,
:mod:`wrs_mm.openmmlab.mmcv_ops.deform_samples` makes up for it. mmcv calls forward and backward apart, so
the backward here is torchvision's backward operator, not autograd.

A sample with an offset of NaN makes NaN of all that it takes part in; one at infinity lies outside the image.

``columns``, ``ones`` and ``im2col_step`` are mmcv's scratch memory and its chunk of the batch. They
do not change the result, and torchvision chooses its own.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from wrs_mm.openmmlab.mmcv_ops.deform_samples import Geometry, fill, finite, outside, without_number
from wrs_mm.openmmlab.mmcv_ops.precision import known_to_torchvision


class _Gradients(NamedTuple):
    """What torchvision's backward operator returns, in its order."""

    input: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


class _WeightGradient(NamedTuple):
    """The gradient of the weight, which torchvision returns along with the others."""

    output: weakref.ref[Tensor]
    version: int
    value: Tensor


# By mmcv's scratch memory, which is one forward's own: mmcv asks for the gradients in two calls.
_weight_gradients: WeakIdKeyDictionary = WeakIdKeyDictionary()


def _convolve(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, bias: Tensor, geometry: Geometry
) -> Tensor:
    input, weight, offset, mask, bias = map(known_to_torchvision, (input, weight, offset, mask, bias))
    nowhere = without_number(offset, geometry)
    if nowhere is not None:
        offset, mask, geometry = finite(offset), _nan_where(nowhere, mask, geometry), _masked(geometry)
    return torch.ops.torchvision.deform_conv2d(input, weight, offset, mask, bias, *geometry)


def _gradients(
    grad_output: Tensor, input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor, geometry: Geometry
) -> _Gradients:
    grad_output, input, weight = map(known_to_torchvision, (grad_output, input, weight))
    offset, mask = map(known_to_torchvision, (offset, mask))
    nowhere = without_number(offset, geometry)
    if nowhere is not None:
        offset, mask, geometry = finite(offset), _nan_where(nowhere, mask, geometry), _masked(geometry)
    gradients = _Gradients(
        *torch.ops.torchvision._deform_conv2d_backward(
            grad_output, input, weight, offset, mask, _no_bias(weight), *geometry
        )
    )
    fill(gradients.offset, outside(offset, input, weight, geometry), 0.0)
    if nowhere is not None:
        fill(gradients.offset, nowhere, torch.nan)
        fill(gradients.mask, nowhere, torch.nan)
        # Nobody knows which cells such a sample was taken from: any of those that its offset is for.
        anywhere = nowhere.flatten(2).any(dim=2)[:, :, None, None, None]
        gradients.input.unflatten(1, (geometry.deform_groups, -1)).masked_fill_(anywhere, torch.nan)
    return gradients


def _nan_where(nowhere: Tensor, mask: Tensor, geometry: Geometry) -> Tensor:
    """Return the mask, or one of ones if there is none, with NaN for samples that lie nowhere."""
    if not geometry.use_mask:
        mask = mask.new_ones(nowhere.shape)
    return mask.reshape(nowhere.shape).masked_fill(nowhere, torch.nan).flatten(1, 3)


def _masked(geometry: Geometry) -> Geometry:
    return geometry._replace(use_mask=True)


def _no_mask(input: Tensor) -> Tensor:
    """Return what torchvision itself passes where ``use_mask`` is False."""
    return input.new_zeros(input.size(0), 1)


def _no_bias(weight: Tensor) -> Tensor:
    return weight.new_zeros(weight.size(0))


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Write the deformable convolution (without mask and bias) to ``output``.

    Args:
        input: (B, C, H, W).
        weight: (O, C / group, kH, kW).
        offset: (B, 2 · deformable_group · kH · kW, H', W'), ``y, x`` for each kernel cell.
        output: (B, O, H', W'), written.
        columns: Not used.
        ones: Not used.
        kW: Width of the kernel; ``weight`` says the same.
        kH: Height of the kernel; ``weight`` says the same.
        dW: Stride along x.
        dH: Stride along y.
        padW: Zeros left and right.
        padH: Zeros above and below.
        dilationW: Dilation along x.
        dilationH: Dilation along y.
        group: Groups of the convolution.
        deformable_group: Groups of input channels with offsets of their own.
        im2col_step: Not used.
    """
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    output.copy_(_convolve(input, weight, offset, _no_mask(input), _no_bias(weight), geometry))


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradInput: Tensor,
    gradOffset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Write the gradients with respect to ``input`` and ``offset``; see the forward's arguments.

    That of the weight comes with them, and is kept for :func:`deform_conv_backward_parameters`, which mmcv
    calls next with the same ``gradOutput`` and ``columns``.
    """
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    gradients = _gradients(gradOutput, input, weight, offset, _no_mask(input), geometry)
    gradInput.copy_(gradients.input)
    gradOffset.copy_(gradients.offset)
    _weight_gradients[columns] = _WeightGradient(
        weakref.ref(gradOutput), gradOutput._version, gradients.weight
    )


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    gradOutput: Tensor,
    gradWeight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add ``scale`` times the gradient with respect to the weight to ``gradWeight``."""
    geometry = Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    kept = _weight_gradients.pop(columns, None)
    if kept is not None and kept.output() is gradOutput and kept.version == gradOutput._version:
        gradient = kept.value
    else:
        # mmcv does not hand over the weight: this gradient does not depend on it, only on its shape.
        weight = torch.zeros_like(gradWeight)
        gradient = _gradients(gradOutput, input, weight, offset, _no_mask(input), geometry).weight
    gradWeight.add_(gradient.to(gradWeight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Write the modulated deformable convolution (version 2, with a mask) to ``output``.

    Args:
        input: (B, C, H, W).
        weight: (O, C / group, kernel_h, kernel_w).
        bias: (O,); read only where ``with_bias``.
        ones: Not used.
        offset: (B, 2 · deformable_group · kernel_h · kernel_w, H', W'), ``y, x`` for each cell. Of an image
            that has more numbers, the first so many are read, whatever its shape.
        mask: (B, deformable_group · kernel_h · kernel_w, H', W'), a factor for each cell; likewise.
        output: (B, O, H', W'), written.
        columns: Not used.
        kernel_h: Height of the kernel; ``weight`` says the same.
        kernel_w: Width of the kernel; ``weight`` says the same.
        stride_h: Stride along y.
        stride_w: Stride along x.
        pad_h: Zeros above and below.
        pad_w: Zeros left and right.
        dilation_h: Dilation along y.
        dilation_w: Dilation along x.
        group: Groups of the convolution.
        deformable_group: Groups of input channels with offsets and masks of their own.
        with_bias: Add ``bias``.
    """
    geometry = Geometry(
        stride_h,
        stride_w,
        pad_h,
        pad_w,
        dilation_h,
        dilation_w,
        group,
        deformable_group,
        use_mask=True,
    )
    bias = bias if with_bias else _no_bias(weight)
    offset, mask = _as_read(offset, mask, output, weight, geometry)
    output.copy_(_convolve(input, weight, offset, mask, bias, geometry))


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Write all five gradients (``grad_bias`` only where ``with_bias``); see the forward."""
    geometry = Geometry(
        stride_h,
        stride_w,
        pad_h,
        pad_w,
        dilation_h,
        dilation_w,
        group,
        deformable_group,
        use_mask=True,
    )
    offset, mask = _as_read(offset, mask, grad_output, weight, geometry)
    gradients = _gradients(grad_output, input, weight, offset, mask, geometry)
    grad_input.copy_(gradients.input)
    grad_weight.copy_(gradients.weight)
    _write_as_read(grad_offset, gradients.offset)
    _write_as_read(grad_mask, gradients.mask)
    if with_bias:
        grad_bias.copy_(gradients.bias)


def _as_read(
    offset: Tensor, mask: Tensor, output: Tensor, weight: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor]:
    """Offsets and masks as mmcv's kernels index them: by the size of the output, not by their own.

    Theirs may be larger: mmdet's DyHead convolves a coarser level with the offsets of a finer one.
    """
    samples = geometry.deform_groups * weight.size(2) * weight.size(3)
    size = output.shape[2:]
    return _first_numbers(offset, 2 * samples, size), _first_numbers(mask, samples, size)


def _first_numbers(tensor: Tensor, channels: int, size: torch.Size) -> Tensor:
    """View the first numbers of each image as so many channels; too few stay as they are."""
    count = channels * size.numel()
    if tensor.shape[1:] == (channels, *size) or tensor[0:1].numel() < count:
        return tensor
    return tensor.flatten(1)[:, :count].unflatten(1, (channels, *size))


def _write_as_read(whole: Tensor, read: Tensor) -> None:
    """Write the gradient of what :func:`_first_numbers` returned, and zeros for the numbers after it."""
    rest = whole[0:1].numel() - read[0:1].numel()
    whole.copy_(torch.nn.functional.pad(read.flatten(1), (0, rest)).view(whole.shape))
