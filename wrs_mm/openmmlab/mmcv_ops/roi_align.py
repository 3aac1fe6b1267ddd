"""RoI align: ``roi_align_forward`` and ``roi_align_backward`` of ``mmcv._ext``.

Average pooling is torchvision's operator, which computes the same (He et al., Mask R-CNN, 2017).
Maximum pooling is built on it: with one sample a bin, average pooling returns the sample itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

_MAX = 0  # mmcv's `pool_mode`; 1 is the average


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Pool each RoI to ``aligned_height`` × ``aligned_width`` bins.

    Args:
        input: (B, C, H, W) features.
        rois: (K, 5), ``batch index, x1, y1, x2, y2`` in image pixels.
        output: (K, C, aligned_height, aligned_width), written.
        argmax_y: Same shape, written for maximum pooling only: row of the greatest sample.
        argmax_x: Same for the column.
        aligned_height: Bins along y.
        aligned_width: Bins along x.
        spatial_scale: Feature cells per image pixel.
        sampling_ratio: Samples along each axis of a bin; 0 takes one per feature cell.
        pool_mode: 0 maximum, 1 average.
        aligned: Shift by half a cell, so that pixel centers are at integers.
    """
    rois = rois.to(input.dtype)
    if pool_mode == _MAX:
        bins = (aligned_height, aligned_width)
        _max_pool(input, rois, output, argmax_y, argmax_x, bins, spatial_scale, sampling_ratio, aligned)
        return
    output.copy_(
        torch.ops.torchvision.roi_align(
            input,
            rois,
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the gradient of :func:`roi_align_forward` with respect to ``input`` to ``grad_input``.

    Args:
        grad_output: (K, C, aligned_height, aligned_width).
        rois: As in the forward.
        argmax_y: As the forward wrote it.
        argmax_x: As the forward wrote it.
        grad_input: (B, C, H, W), written.
        aligned_height: As in the forward.
        aligned_width: As in the forward.
        spatial_scale: As in the forward.
        sampling_ratio: As in the forward.
        pool_mode: As in the forward.
        aligned: As in the forward.
    """
    rois = rois.to(grad_output.dtype)
    if pool_mode == _MAX:
        _max_pool_backward(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output,
            rois,
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


def _max_pool(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    bins: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> None:
    x1, y1, x2, y2 = (rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)).unbind(dim=1)
    smallest = -torch.inf if aligned else 1.0
    size = torch.stack([y2 - y1, x2 - x1], dim=1).clamp(min=smallest)
    for these, (grid_h, grid_w) in _same_grid(size, bins, sampling_ratio):
        height, width = bins[0] * grid_h, bins[1] * grid_w
        if height * width == 0:  # a RoI without extent has no sample; the average is 0 there too
            output[these] = 0
            argmax_y[these] = argmax_x[these] = -1
            continue
        samples = torch.ops.torchvision.roi_align(
            input, rois[these], spatial_scale, height, width, 1, aligned
        )
        # (K, C, bins, bins, samples a bin)
        samples = samples.unflatten(3, (bins[1], grid_w)).unflatten(2, (bins[0], grid_h))
        greatest, index = samples.transpose(3, 4).flatten(4).max(dim=-1)
        output[these] = greatest
        bin_y = torch.arange(bins[0], device=rois.device)[:, None]
        bin_x = torch.arange(bins[1], device=rois.device)
        sample_y = bin_y * grid_h + index.div(grid_w, rounding_mode="floor")
        sample_x = bin_x * grid_w + index % grid_w
        first_y, first_x = y1[these, None, None, None], x1[these, None, None, None]
        size_y, size_x = size[these, :, None, None, None].unbind(dim=1)
        y = first_y + (sample_y + 0.5) * (size_y / height)
        x = first_x + (sample_x + 0.5) * (size_x / width)
        argmax_y[these], argmax_x[these] = y.to(argmax_y.dtype), x.to(argmax_x.dtype)


def _same_grid(
    size: Tensor, bins: tuple[int, int], sampling_ratio: int
) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """Split RoIs by the grid of samples in each of their bins: (indices, (along y, along x))."""
    if sampling_ratio > 0:
        yield torch.arange(len(size), device=size.device), (sampling_ratio, sampling_ratio)
        return
    grid = (size / size.new_tensor(bins)).ceil().clamp(min=0).long()
    kinds, kind_of = grid.unique(dim=0, return_inverse=True)
    for kind, (grid_h, grid_w) in enumerate(kinds.tolist()):
        yield torch.nonzero(kind_of == kind)[:, 0], (grid_h, grid_w)


def _max_pool_backward(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor
) -> None:
    """Add each gradient to the four cells that its sample was interpolated from."""
    _, channels, height, width = grad_input.shape
    inside = (argmax_y >= -1) & (argmax_y <= height) & (argmax_x >= -1) & (argmax_x <= width)
    inside &= argmax_y != -1  # mmcv's mark of a bin without samples
    y, x = argmax_y.clamp(0, height - 1), argmax_x.clamp(0, width - 1)
    low_y, low_x = y.floor().long(), x.floor().long()
    plane = rois[:, :1].long() * channels + torch.arange(channels, device=rois.device)
    first_cell = plane[:, :, None, None] * (height * width)
    for step_y, share_y in ((0, 1 - (y - low_y)), (1, y - low_y)):
        for step_x, share_x in ((0, 1 - (x - low_x)), (1, x - low_x)):
            row = (low_y + step_y).clamp(max=height - 1)
            column = (low_x + step_x).clamp(max=width - 1)
            cell = first_cell + row * width + column
            share = grad_output * share_y * share_x
            grad_input.view(-1).index_add_(0, cell[inside], share[inside])
