"""Deformable RoI pooling: ``deform_roi_pool_forward`` and ``deform_roi_pool_backward`` of ``mmcv._ext``.

Dai et al., Deformable Convolutional Networks, 2017: RoI align (average) each of whose bins is moved by an
offset of its own. Compiled mmcv has it for CUDA only. The gradient of an offset is that of the forward; the
kernel's differs where a sample lies beyond the centers of the outermost cells, and is no derivative there.
Half precision is computed in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

_VALUES_AT_ONCE = 2**24
"""How many values are sampled at once: what memory a corner of the samples takes, in numbers."""


class _Cells(NamedTuple):
    """The features, cell by cell.

    Attributes:
        values: (B · H · W, C).
        height: H.
        width: W.
    """

    values: Tensor
    height: int
    width: int


class _Bins(NamedTuple):
    """RoIs whose bins have the same grid of samples.

    Attributes:
        these: (K,) int64, which RoIs.
        image: (K,) int64, the image of each.
        start: (K, 2), ``x, y`` of their first corners, in cells.
        size: (K, 2), their width and height.
        number: Bins along x and along y.
        grid: Samples along x and along y of a bin.
    """

    these: Tensor
    image: Tensor
    start: Tensor
    size: Tensor
    number: tuple[int, int]
    grid: tuple[int, int]


def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Write the mean of the samples in each bin of each RoI to ``output``.

    Args:
        input: (B, C, H, W) features.
        rois: (K, 5), ``batch index, x1, y1, x2, y2`` in image pixels.
        offset: (K, 2, pooled_height, pooled_width), ``x, y``, in shares of ``gamma`` times the RoI's size;
            or empty: no bin is moved.
        output: (K, C, pooled_height, pooled_width), written.
        pooled_height: Bins along y.
        pooled_width: Bins along x.
        spatial_scale: Feature cells per image pixel.
        sampling_ratio: Samples along each axis of a bin; 0 takes one per feature cell.
        gamma: See ``offset``.
    """
    cells = _cells(input)
    number = (pooled_width, pooled_height)
    for bins in _bins(rois, cells, number, spatial_scale, sampling_ratio):
        shift = offset[bins.these].to(cells.values.dtype) * gamma if offset.numel() else None
        output[bins.these] = _pool(cells, bins, shift).to(output.dtype)


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Write the gradients with respect to ``input`` and, where there are some, to the offsets.

    Args:
        grad_output: (K, C, pooled_height, pooled_width).
        input: As in the forward.
        rois: As in the forward.
        offset: As in the forward.
        grad_input: Like ``input``, written.
        grad_offset: Like ``offset``, written.
        pooled_height: As in the forward.
        pooled_width: As in the forward.
        spatial_scale: As in the forward.
        sampling_ratio: As in the forward.
        gamma: As in the forward.
    """
    cells = _cells(input)
    by_values = torch.zeros_like(cells.values)
    number = (pooled_width, pooled_height)
    for bins in _bins(rois, cells, number, spatial_scale, sampling_ratio):
        leaf = cells._replace(values=cells.values.detach().requires_grad_())
        shift = None
        if offset.numel():
            shift = (offset[bins.these].to(cells.values.dtype) * gamma).detach().requires_grad_()
        with torch.enable_grad():
            pooled = _pool(leaf, bins, shift)
        leaves = [leaf.values] if shift is None else [leaf.values, shift]
        grad, *by_shift = torch.autograd.grad(pooled, leaves, grad_output[bins.these].to(pooled.dtype))
        by_values += grad
        if by_shift:
            grad_offset[bins.these] = (by_shift[0] * gamma).to(grad_offset.dtype)
    images = (input.size(0), cells.height, cells.width)
    grad_input.copy_(by_values.unflatten(0, images).permute(0, 3, 1, 2))


def _cells(input: Tensor) -> _Cells:
    values = input.to(torch.promote_types(input.dtype, torch.float32)).permute(0, 2, 3, 1)
    return _Cells(values.flatten(0, 2), input.size(2), input.size(3))


def _bins(
    rois: Tensor, cells: _Cells, number: tuple[int, int], spatial_scale: float, sampling_ratio: int
) -> Iterator[_Bins]:
    """The RoIs that have a sample, with equal grids together, as many as memory is meant to hold."""
    corner = rois[:, 1:].to(cells.values.dtype) * spatial_scale - 0.5
    start, size = corner[:, :2], corner[:, 2:] - corner[:, :2]
    for grid, alike in _same_grid(size, number, sampling_ratio):
        values = grid[0] * grid[1] * number[0] * number[1] * cells.values.size(1)
        if values == 0:
            continue  # RoIs without extent
        for these in alike.split(max(1, _VALUES_AT_ONCE // values)):
            yield _Bins(these, rois[these, 0].long(), start[these], size[these], number, grid)


def _same_grid(
    size: Tensor, number: tuple[int, int], sampling_ratio: int
) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """RoIs by the grid of samples in each of their bins: (along x, along y), and which they are."""
    if sampling_ratio > 0:
        yield (sampling_ratio, sampling_ratio), torch.arange(len(size), device=size.device)
        return
    # Of what is not finite, one sample: the result is not finite either, and shows it.
    known = torch.where(size.isfinite(), size, torch.ones_like(size))
    grids = (known / size.new_tensor(number)).ceil().clamp(min=0).long()
    kinds, kind_of = grids.unique(dim=0, return_inverse=True)
    for kind, (along_x, along_y) in enumerate(kinds.tolist()):
        yield (along_x, along_y), torch.nonzero(kind_of == kind)[:, 0]


def _pool(cells: _Cells, bins: _Bins, shift: Tensor | None) -> Tensor:
    """The mean of each bin's samples, (K, C, bins along y, bins along x).

    Args:
        cells: The features.
        bins: The bins.
        shift: (K, 2, bins along y, bins along x), how far bins are moved, in shares of the RoI's size.
    """
    x, y = _positions(bins, 0), _positions(bins, 1)
    # (K, bins along y, bins along x, samples along y, samples along x)
    x, y = x[:, None, :, None, :], y[:, :, None, :, None]
    if shift is not None:
        moved = shift * bins.size[:, :, None, None]
        x, y = x + moved[:, 0, :, :, None, None], y + moved[:, 1, :, :, None, None]
    x, y = torch.broadcast_tensors(x, y)
    samples = _sample(cells, bins.image[:, None, None, None, None], x, y)
    return samples.flatten(3, 4).mean(dim=3).permute(0, 3, 1, 2)


def _positions(bins: _Bins, axis: int) -> Tensor:
    """Where the samples of each bin lie along an axis, (K, bins, samples), in cells."""
    number, grid = bins.number[axis], bins.grid[axis]
    device, dtype = bins.start.device, bins.start.dtype
    index = torch.arange(number, device=device, dtype=dtype)[:, None]
    place = (torch.arange(grid, device=device, dtype=dtype) + 0.5) / grid
    step = bins.size[:, axis, None, None] / number
    return bins.start[:, axis, None, None] + index * step + place * step


def _sample(cells: _Cells, image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Interpolate between the four cells around each place, as RoI align does.

    Outside the first and last centers the outermost cell goes on for one cell, after which there are zeros.

    Args:
        cells: The features.
        image: Broadcasts to ``x``; int64.
        x: Places along x, in cells; any shape.
        y: The same along y.

    Returns:
        The shape of ``x`` and the channels.
    """
    outside = (x < -1) | (x > cells.width) | (y < -1) | (y > cells.height)
    result = cells.values.new_zeros(())
    for row, share_y in _neighbors(y, cells.height):
        for column, share_x in _neighbors(x, cells.width):
            cell = (image * cells.height + row) * cells.width + column
            value = cells.values.index_select(0, cell.flatten()).unflatten(0, cell.shape)
            share = (share_y * share_x).masked_fill(outside, 0)
            result = result + share[..., None] * value
    return result


def _neighbors(place: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The cell before and the one after each place, int64, and each one's share of it."""
    inside = place.clamp(0, size - 1)
    low = inside.detach().floor()
    after = inside - low
    cell = low.nan_to_num().long()
    yield cell, 1 - after
    yield (cell + 1).clamp(max=size - 1), after
