"""RoI pooling: ``roi_pool_forward`` and ``roi_pool_backward`` of ``mmcv._ext``.

Girshick, Fast R-CNN, 2015. Compiled mmcv has it for CUDA only. torchvision's operator rounds the corners
of a RoI to whole cells first, which mmcv's kernel does not; so it is given each bin, whose corners are whole
cells, as a RoI of its own.
"""

from __future__ import annotations

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from wrs_mm.openmmlab.mmcv_ops.rois import (
    of_others,
    perhaps,
    somewhere,
    spoil_gradient,
    spoil_output,
    sum_by_cell,
)


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Write the maximum of each bin of each RoI to ``output``.

    A bin goes from the floor of its start to the ceiling of its end, clipped to the features. An
    empty one gives 0, one with a NaN gives NaN.

    Args:
        input: (B, C, H, W) features.
        rois: (K, 5), ``batch index, x1, y1, x2, y2`` in image pixels, both corners inside.
        output: (K, C, pooled_height, pooled_width), written.
        argmax: Same shape, int32, written: ``row · W + column`` of the maximum, -1 where empty.
        pooled_height: Bins along y.
        pooled_width: Bins along x.
        spatial_scale: Feature cells per image pixel.
    """
    # Half precision cannot tell pixels above 2048 apart.
    wide = torch.promote_types(input.dtype, torch.float32)
    features, corners = input.to(wide), rois.to(torch.promote_types(rois.dtype, torch.float32))
    corners, nowhere = somewhere(corners)
    bins = _bins(corners, pooled_height, pooled_width, features, spatial_scale)
    greatest, where = _pool(features, bins)
    if perhaps(features.isnan()):
        # The kernel, like mmcv's, passes over NaN: no run may go on as if nothing had happened.
        spoiled, _ = _pool(features.isnan().to(wide), bins)
        greatest = greatest.masked_fill(spoiled > 0, torch.nan)
    # (K · bins, C, 1, 1) -> (K, C, bins, bins)
    shape = (len(rois), pooled_height * pooled_width, input.size(1))
    output.copy_(greatest.view(shape).transpose(1, 2).reshape(output.shape))
    argmax.copy_(where.view(shape).transpose(1, 2).reshape(argmax.shape))
    spoil_output(output, nowhere)


def _pool(features: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    return torch.ops.torchvision.roi_pool(features, bins, 1.0, 1, 1)


def _bins(corners: Tensor, bins_h: int, bins_w: int, features: Tensor, scale: float) -> Tensor:
    """Bins as RoIs of whole cells, both corners inside, (K · bins_h · bins_w, 5), row by row.

    An empty one lies below and right of the features, where there is nothing to pool.
    """
    height, width = features.shape[-2:]
    first_x, stop_x = _edges(corners[:, 1], corners[:, 3], bins_w, width, scale)
    first_y, stop_y = _edges(corners[:, 2], corners[:, 4], bins_h, height, scale)
    image = corners[:, 0, None]
    parts = (
        image[:, :, None],
        first_x[:, None, :],
        first_y[:, :, None],
        stop_x[:, None, :] - 1,
        stop_y[:, :, None] - 1,
    )
    bins = torch.stack(torch.broadcast_tensors(*parts), dim=-1)
    empty = (bins[..., 3] < bins[..., 1]) | (bins[..., 4] < bins[..., 2])
    outside = bins.new_tensor([0, width, height, width, height])
    bins = torch.where(empty[..., None], outside, bins)
    return bins.flatten(0, 2).to(features.dtype)


def _edges(low: Tensor, high: Tensor, bins: int, size: int, scale: float) -> tuple[Tensor, Tensor]:
    """First cell of each bin and the one after its last, (K, bins), whole numbers clipped to [0, size]."""
    start = low * scale
    length = (high + 1) * scale - start
    step = (length / bins)[:, None]
    index = torch.arange(bins + 1, device=low.device, dtype=low.dtype)
    edge = index * step + start[:, None]
    first = edge[:, :-1].floor().clamp(0, size)
    stop = edge[:, 1:].ceil().clamp(0, size)
    # A RoI without extent has no cell.
    return first, torch.where((length > 0)[:, None], stop, first)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add each bin's gradient to the cell that was its maximum.

    Args:
        grad_output: (K, C, pooled_height, pooled_width).
        rois: As in the forward; only the batch index is read.
        argmax: As the forward wrote it.
        grad_input: (B, C, H, W), added to.
        pooled_height: Bins along y.
        pooled_width: Bins along x.
        spatial_scale: Not used.
    """
    given = rois
    rois, nowhere = somewhere(rois)
    grad_input.add_(sum_by_cell(of_others(grad_output, nowhere), rois, argmax, grad_input.shape))
    spoil_gradient(grad_input, given, nowhere)
