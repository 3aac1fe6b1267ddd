"""RoI pooling: ``roi_pool_forward`` and ``roi_pool_backward`` of ``mmcv._ext``.

Girshick, Fast R-CNN, 2015. Compiled mmcv has it for CUDA only. torchvision's operator is not used:
it rounds the corners of a RoI to whole cells first, which mmcv's kernel does not.
"""

from __future__ import annotations

import torch
from torch import Tensor


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
    empty one gives 0.

    Args:
        input: (B, C, H, W) features.
        rois: (K, 5), ``batch index, x1, y1, x2, y2`` in image pixels, both corners inside.
        output: (K, C, pooled_height, pooled_width), written.
        argmax: Same shape, int32, written: ``row · W + column`` of the maximum, -1 where empty.
        pooled_height: Bins along y.
        pooled_width: Bins along x.
        spatial_scale: Feature cells per image pixel.
    """
    height, width = input.shape[-2:]
    image = rois[:, 0].long().tolist()
    # Half precision cannot tell pixels above 2048 apart.
    corner = rois[:, 1:].to(torch.promote_types(rois.dtype, torch.float32))
    x_start, x_stop = _bins(corner[:, 0], corner[:, 2], pooled_width, width, spatial_scale)
    y_start, y_stop = _bins(corner[:, 1], corner[:, 3], pooled_height, height, spatial_scale)
    # One RoI at a time: all padded to the extent of the largest might not fit in memory.
    for k, b in enumerate(image):
        rows, row_inside = _cells(y_start[k], y_stop[k])
        columns, column_inside = _cells(x_start[k], x_stop[k])
        if rows.size(1) == 0 or columns.size(1) == 0:
            output[k] = 0
            argmax[k] = -1
            continue
        # (pooled_height, pooled_width, rows a bin, columns a bin)
        cell = (rows * width)[:, None, :, None] + columns[None, :, None, :]
        inside = row_inside[:, None, :, None] & column_inside[None, :, None, :]
        cell, inside = cell.flatten(2), inside.flatten(2)
        values = input[b].flatten(1)[:, cell.where(inside, torch.zeros_like(cell))]
        best, index = values.masked_fill(~inside, -torch.inf).max(dim=-1)
        occupied = inside.any(dim=-1)
        output[k] = best.where(occupied, torch.zeros_like(best))
        where = cell.expand_as(values).gather(-1, index[..., None])[..., 0]
        argmax[k] = where.where(occupied, torch.full_like(where, -1)).to(argmax.dtype)


def _bins(low: Tensor, high: Tensor, bins: int, size: int, scale: float) -> tuple[Tensor, Tensor]:
    """First cell of each bin and the one after its last, (K, bins) int64, clipped to [0, size]."""
    start = low * scale
    length = (high + 1) * scale - start
    step = (length / bins)[:, None]
    index = torch.arange(bins + 1, device=low.device, dtype=low.dtype)
    edge = index * step + start[:, None]
    first = edge[:, :-1].floor().clamp(0, size).long()
    stop = edge[:, 1:].ceil().clamp(0, size).long()
    # A RoI without extent has no cell.
    return first, torch.where((length > 0)[:, None], stop, first)


def _cells(start: Tensor, stop: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cells of each bin, (bins, cells of the longest), and which it really has."""
    longest = int((stop - start).max().clamp(min=0))
    cells = start[:, None] + torch.arange(longest, device=start.device)
    return cells, cells < stop[:, None]


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
        grad_input: (B, C, H, W), contiguous, added to.
        pooled_height: Not used.
        pooled_width: Not used.
        spatial_scale: Not used.
    """
    _, channels, height, width = grad_input.shape
    plane = rois[:, :1].long() * channels + torch.arange(channels, device=rois.device)
    cell = plane[:, :, None, None] * (height * width) + argmax.long()
    occupied = argmax >= 0
    grad_input.view(-1).index_add_(0, cell[occupied], grad_output[occupied])
