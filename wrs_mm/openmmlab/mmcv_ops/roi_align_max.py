"""Maximum pooling of RoI align, from torchvision's average: with one sample a bin that is the sample itself.

The samples of a bin form a grid. All bins' samples at one place of their grids are those of a RoI that was
moved so that the centers of its bins lie there.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from wrs_mm.openmmlab.mmcv_ops.rois import perhaps, sum_by_cell

_SAMPLES_AT_ONCE = 2**20
"""Samples that are compared at a time: the fewer calls the faster, until they leave the cache."""

_GRADIENTS_AT_ONCE = 2**16
"""Gradients that are split at a time on a CPU."""


def max_pool(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> None:
    """Write the greatest sample of each bin, and its row and column.

    A RoI without a sample gives 0, at row and column -1. Samples that are NaN make the maximum NaN.

    Args:
        input: (B, C, H, W).
        rois: (K, 5), ``batch index, x1, y1, x2, y2``, finite.
        output: (K, C, bins, bins).
        argmax_y: Same shape.
        argmax_x: Same shape.
        spatial_scale: Feature cells per image pixel.
        sampling_ratio: Samples along each axis of a bin; 0 takes one per feature cell.
        aligned: Whether to shift by half a cell.
    """
    wide = torch.promote_types(input.dtype, torch.float32)
    input, rois = input.to(wide), rois.to(wide)
    x1, y1, x2, y2 = (rois[:, 1:] * spatial_scale).unbind(dim=1)
    size = torch.stack([y2 - y1, x2 - x1], dim=1).clamp(min=-torch.inf if aligned else 1.0)
    step = size / size.new_tensor(output.shape[2:])
    grid = step.ceil().clamp(min=0) if sampling_ratio <= 0 else torch.full_like(step, sampling_ratio)
    start = torch.stack([y1, x1], dim=1)
    for these, samples in _portions(grid.prod(dim=1), output):
        if samples == 0:
            output[these], argmax_y[these], argmax_x[these] = 0, -1, -1
            continue
        greatest, place = _greatest_samples(
            input, rois[these, :1], start[these], step[these], grid[these], samples, output.shape[2:], aligned
        )
        output[these] = greatest.to(output.dtype)
        grid_y, grid_x = grid[these, :, None, None, None].unbind(1)
        row = (place / grid_x).floor_()
        column = place.sub_(row * grid_x)
        for argmax, axis, step_in_grid, cells in ((argmax_y, 0, row, grid_y), (argmax_x, 1, column, grid_x)):
            bin_size = step[these, axis, None, None, None]
            first = start[these, axis, None, None, None] - (0.5 if aligned else 0.0)
            bins = torch.arange(output.size(2 + axis), device=rois.device)
            first = first + (bins[:, None] if axis == 0 else bins) * bin_size
            position = step_in_grid.add_(0.5).mul_(bin_size / cells).add_(first)
            argmax[these] = position.to(argmax.dtype)


def _portions(samples: Tensor, output: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Split the RoIs into some at a time, with about as many samples a bin each: (indices, most samples)."""
    counts, order = samples.long().sort(stable=True)
    sizes = counts.tolist()
    room = _SAMPLES_AT_ONCE if output.device.type == "cpu" else 32 * _SAMPLES_AT_ONCE
    first = 0
    while first < len(sizes):
        last = first + 1
        while last < len(sizes) and (sizes[first] == 0) == (sizes[last] == 0):
            if (last + 1 - first) * max(sizes[last], 1) * output[0].numel() > room:
                break
            last += 1
        yield order[first:last], sizes[last - 1]
        first = last


def _greatest_samples(
    input: Tensor,
    image: Tensor,
    start: Tensor,
    step: Tensor,
    grid: Tensor,
    samples: int,
    bins: torch.Size,
    aligned: bool,
) -> tuple[Tensor, Tensor]:
    """Return the greatest sample of each bin of some RoIs, and its place in the bin's grid, row by row."""
    places = torch.arange(samples, device=input.device, dtype=input.dtype)[:, None]
    # Whose grid is smaller has its last sample several times.
    place = torch.minimum(places, grid.prod(dim=1) - 1)
    row = (place / grid[:, 1]).floor()
    cell = torch.stack([row, place - row * grid[:, 1]], dim=2)
    moved = start + ((cell + 0.5) / grid - 0.5) * step
    stop = moved + step * step.new_tensor(bins)
    corners = torch.cat([image.expand(samples, -1, -1), moved.flip(2), stop.flip(2)], dim=2)
    values = torch.ops.torchvision.roi_align(input, corners.flatten(0, 1), 1.0, *bins, 1, aligned)
    values = values.unflatten(0, (samples, -1))
    greatest = values.amax(dim=0)
    # Of equal ones the first. Beside NaN none is equal: any place will do.
    places = places[:, :, None, None, None]
    first = values.ne_(greatest).mul_(samples).add_(places).amin(dim=0)
    return greatest, first.clamp_(max=samples - 1)


def max_pool_backward(
    gradient: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor
) -> None:
    """Add each gradient to the four cells that its sample was interpolated from.

    Args:
        gradient: (K, C, bins, bins).
        rois: (K, 5), finite; only the batch index is read.
        argmax_y: Rows, as :func:`max_pool` returns them.
        argmax_x: Columns.
        grad_input: (B, C, H, W), added to.
    """
    wide = torch.promote_types(gradient.dtype, torch.float32)
    gradient = gradient.to(wide)
    height, width = grad_input.shape[2:]
    cell = torch.empty(gradient.shape, dtype=torch.int32, device=gradient.device)
    shares = torch.empty((2, 2, *gradient.shape), dtype=wide, device=gradient.device)
    at_once = max(1, _GRADIENTS_AT_ONCE // max(gradient[0:1].numel(), 1))
    if gradient.device.type != "cpu":
        at_once = max(1, len(gradient))
    for first in range(0, len(gradient), at_once):
        part = slice(first, first + at_once)
        y, x = argmax_y[part].to(wide), argmax_x[part].to(wide)
        _split(gradient[part], y, x, (height, width), cell[part], shares[:, :, part])
    for down in (0, 1):
        for right in (0, 1):
            sums = sum_by_cell(shares[down, right], rois, cell, grad_input.shape)
            # In features of one row or column the cell after it is the cell itself.
            step_y, step_x = min(down, height - 1), min(right, width - 1)
            grad_input[:, :, step_y:, step_x:] += sums[:, :, : height - step_y, : width - step_x]


def _split(
    gradient: Tensor, y: Tensor, x: Tensor, size: tuple[int, int], cell: Tensor, shares: Tensor
) -> None:
    """Write the upper left of the four cells that each gradient goes to, and the share of each of them.

    Args:
        gradient: (K, C, bins, bins).
        y: Row of the sample; -1 is mmcv's mark of a bin without samples.
        x: Column.
        size: Rows and columns of the features.
        cell: Shape of the gradient, int32, written: ``row · W + column``.
        shares: (2, 2, K, C, bins, bins), written: upper and lower, left and right.
    """
    height, width = size
    # Most often all are inside, which is seen faster than each is looked at.
    (least_y, greatest_y), (least_x, greatest_x) = y.aminmax(), x.aminmax()
    whole = (least_y > -1) & (greatest_y <= height) & (least_x >= -1) & (greatest_x <= width)
    if perhaps(~whole):
        inside = (y > -1) & (y <= height) & (x >= -1) & (x <= width)
        gradient = torch.where(inside, gradient, gradient.new_zeros(()))
    low_y, lower = _low(y, height)
    low_x, right = _low(x, width)
    torch.add(low_x, low_y, alpha=width, out=cell)
    lower.mul_(gradient)
    upper = gradient - lower
    torch.mul(upper, right, out=shares[0, 1])
    torch.sub(upper, shares[0, 1], out=shares[0, 0])
    torch.mul(lower, right, out=shares[1, 1])
    torch.sub(lower, shares[1, 1], out=shares[1, 0])


def _low(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Cell before each position, if possible not the last one, and the share of the one after it."""
    low = position.int().clamp_(0, max(size - 2, 0))
    return low, (position - low).clamp_(0, 1)
