"""Where the samples of a deformable convolution lie, and what of that torchvision does otherwise than mmcv.

mmcv lets a sample count where ``-1 < y < H`` and ``-1 < x < W``; elsewhere it is 0, and so is the gradient of
its offset. torchvision agrees but for the gradient at exactly -1, where it takes the slope on the inner side.
With zeros around the image and offsets that start at zero, every sample of the border lies there.

torchvision's kernels for the CPU turn a position into an index before they look at it, so that one that is
NaN or infinite ends the process. Those for CUDA look at each index, and need no care.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FAR = -(2.0**15)
"""An offset that puts a sample outside every image, in half precision too."""


class Geometry(NamedTuple):
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


def outside(offset: Tensor, input: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Whether samples lie where they do not count, (B, deform_groups, kH · kW, 1, H', W').

    Args:
        offset: (B, 2 · deform_groups · kH · kW, H', W').
        input: (B, C, H, W).
        weight: (O, C / groups, kH, kW).
        geometry: Of the convolution.

    Returns:
        Also False for those with an offset of NaN.
    """
    cells_h, cells_w = weight.shape[2:]
    y = _grid(offset.size(2), geometry.stride_h, cells_h, geometry.dilation_h, geometry.pad_h, offset)
    x = _grid(offset.size(3), geometry.stride_w, cells_w, geometry.dilation_w, geometry.pad_w, offset)
    # The sum in the precision of the offsets, as in the kernels: what rounds to -1 lies there.
    samples = _by_sample(offset, geometry).unflatten(2, (cells_h, cells_w))
    position_y = samples[:, :, :, :, 0] + y[:, None, :, None]
    position_x = samples[:, :, :, :, 1] + x[:, None, :]
    # Not «unless within»: a NaN on a GPU is on no side, and keeps the NaN that the kernel gives it.
    below = (position_y <= -1) | (position_y >= input.size(2))
    return (below | (position_x <= -1) | (position_x >= input.size(3))).flatten(2, 3).unsqueeze(3)


def without_number(offset: Tensor, geometry: Geometry) -> Tensor | None:
    """Which samples have an offset of NaN, shaped as by :func:`outside`; None where all is as usual.

    None also where the offsets are on a GPU: to ask would make the processor wait for it.
    """
    if offset.device.type != "cpu" or bool(torch.isfinite(offset).all()):
        return None
    return _by_sample(offset, geometry).isnan().any(dim=3, keepdim=True)


def finite(offset: Tensor) -> Tensor:
    """Put samples that lie at infinity, or nowhere, outside the image."""
    return offset.nan_to_num(nan=_FAR, posinf=_FAR, neginf=_FAR)


def fill(gradient: Tensor, where: Tensor, value: float) -> None:
    """Overwrite the gradient of offsets, or of masks, of some samples.

    Args:
        gradient: Of the offsets, two a sample, or of the masks, one a sample; contiguous.
        where: As :func:`outside` returns it.
        value: What is written.
    """
    _, deform_groups, cells = where.shape[:3]
    gradient.unflatten(1, (deform_groups, cells, -1)).masked_fill_(where, value)


def _by_sample(offset: Tensor, geometry: Geometry) -> Tensor:
    return offset.unflatten(1, (geometry.deform_groups, -1, 2))


def _grid(steps: int, stride: int, cells: int, dilation: int, pad: int, like: Tensor) -> Tensor:
    """Positions along one axis without offsets, (cells, steps)."""
    step = torch.arange(steps, device=like.device) * stride - pad
    cell = torch.arange(cells, device=like.device) * dilation
    return (cell[:, None] + step).to(like.dtype)
