"""Deformable convolution: ``deform_conv_*`` and ``modulated_deform_conv_*`` of ``mmcv._ext``.

Dai et al., Deformable Convolutional Networks, 2017; Zhu et al., Deformable ConvNets v2, 2018.
torchvision's operator computes both, with the same layout of offsets and masks. mmcv calls forward
and backward separately, so the backward here is torchvision's backward operator, not autograd.

``columns``, ``ones`` and ``im2col_step`` are mmcv's scratch memory and its chunk of the batch. They
do not change the result, and torchvision chooses its own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor


class _Geometry(NamedTuple):
    """What torchvision's operators take after the tensors, in their order."""

    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int
    groups: int
    deform_groups: int
    use_mask: bool


class _Gradients(NamedTuple):
    """What torchvision's backward operator returns, in its order."""

    input: Tensor
    weight: Tensor
    offset: Tensor
    mask: Tensor
    bias: Tensor


def _no_mask(input: Tensor) -> Tensor:
    """Return what torchvision itself passes where ``use_mask`` is False."""
    return input.new_zeros(input.size(0), 1)


def _no_bias(weight: Tensor) -> Tensor:
    return weight.new_zeros(weight.size(0))


def _gradients(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    geometry: _Geometry,
) -> _Gradients:
    return _Gradients(
        *torch.ops.torchvision._deform_conv2d_backward(
            grad_output, input, weight, offset, mask, _no_bias(weight), *geometry
        )
    )


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
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    output.copy_(
        torch.ops.torchvision.deform_conv2d(
            input, weight, offset, _no_mask(input), _no_bias(weight), *geometry
        )
    )


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
    """Write the gradients with respect to ``input`` and ``offset``; see the forward's arguments."""
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    gradients = _gradients(gradOutput, input, weight, offset, _no_mask(input), geometry)
    gradInput.copy_(gradients.input)
    gradOffset.copy_(gradients.offset)


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
    geometry = _Geometry(dH, dW, padH, padW, dilationH, dilationW, group, deformable_group, use_mask=False)
    # mmcv does not hand over the weight: this gradient does not depend on it, only on its shape.
    weight = torch.zeros_like(gradWeight)
    gradients = _gradients(gradOutput, input, weight, offset, _no_mask(input), geometry)
    gradWeight.add_(gradients.weight, alpha=scale)


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
        offset: (B, 2 · deformable_group · kernel_h · kernel_w, H', W'), ``y, x`` for each cell.
        mask: (B, deformable_group · kernel_h · kernel_w, H', W'), a factor for each cell.
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
    geometry = _Geometry(
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
    output.copy_(torch.ops.torchvision.deform_conv2d(input, weight, offset, mask, bias, *geometry))


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
    geometry = _Geometry(
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
    gradients = _gradients(grad_output, input, weight, offset, mask, geometry)
    grad_input.copy_(gradients.input)
    grad_weight.copy_(gradients.weight)
    grad_offset.copy_(gradients.offset)
    grad_mask.copy_(gradients.mask)
    if with_bias:
        grad_bias.copy_(gradients.bias)
