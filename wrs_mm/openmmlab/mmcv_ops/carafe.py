"""Content-aware upsampling: ``carafe_*`` and ``carafe_naive_*`` of ``mmcv._ext``.

Wang et al., CARAFE: Content-Aware ReAssembly of FEatures, 2019. A cell of the larger image is a weighted sum
over the window around the cell of the smaller one that it lies in; each has weights of its own, and so has
each group of channels. The two kernels of compiled mmcv, for CUDA only, compute the same; so do both here.
Half precision is summed in float32.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write the upsampled features to ``output``.

    Args:
        features: (N, C, H, W).
        masks: (N, group_size · kernel_size², H · scale_factor, W · scale_factor), the weights.
        output: (N, C, H · scale_factor, W · scale_factor), written; around the features there are zeros.
        kernel_size: Side of the window, odd.
        group_size: Groups of channels.
        scale_factor: Cells of the output along the side of a cell of the features.
    """
    dtype = torch.promote_types(features.dtype, torch.float32)
    weights = _by_cell(masks, group_size, scale_factor).to(dtype)
    total = torch.zeros_like(_by_cell(output, group_size, scale_factor), dtype=dtype)
    padded = _padded(features.unflatten(1, (group_size, -1)).to(dtype), kernel_size)
    for k, window in enumerate(_windows(padded, features, kernel_size)):
        total.addcmul_(_in_cells(window), weights[:, :, k, None])
    output.copy_(_from_cells(total))


def carafe_naive_backward(
    top_grad: Tensor,
    features: Tensor,
    masks: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write both gradients; see the forward's arguments.

    Args:
        top_grad: Like the forward's ``output``.
        features: As in the forward.
        masks: As in the forward.
        bottom_grad: Like ``features``, written.
        mask_grad: Like ``masks``, written.
        kernel_size: As in the forward.
        group_size: As in the forward.
        scale_factor: As in the forward.
    """
    dtype = torch.promote_types(features.dtype, torch.float32)
    weights = _by_cell(masks, group_size, scale_factor).to(dtype)
    grad = _by_cell(top_grad, group_size, scale_factor).to(dtype)
    padded = _padded(features.unflatten(1, (group_size, -1)).to(dtype), kernel_size)
    by_padded, by_weights = torch.zeros_like(padded), torch.zeros_like(weights)
    windows = _windows(padded, features, kernel_size)
    grads = _windows(by_padded, features, kernel_size)
    for k, (window, by_window) in enumerate(zip(windows, grads, strict=True)):
        by_window += (grad * weights[:, :, k, None]).sum(dim=(3, 4))
        by_weights[:, :, k] = (grad * _in_cells(window)).sum(dim=2)
    reach = kernel_size // 2
    inside = by_padded[..., reach : reach + features.size(2), reach : reach + features.size(3)]
    bottom_grad.copy_(inside.flatten(1, 2))
    mask_grad.copy_(_from_cells(by_weights))


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write the upsampled features to ``output``; see :func:`carafe_naive_forward`.

    Args:
        features: As there.
        masks: As there.
        rfeatures: Like ``features``, written: mmcv keeps it, and not ``features``, for the backward.
        routput: Not used.
        rmasks: Not used.
        output: As there.
        kernel_size: As there.
        group_size: As there.
        scale_factor: As there.
    """
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_backward(
    top_grad: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rtop_grad: Tensor,
    rbottom_grad_hs: Tensor,
    rbottom_grad: Tensor,
    rmask_grad: Tensor,
    bottom_grad: Tensor,
    mask_grad: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write both gradients; see :func:`carafe_naive_backward`.

    Args:
        top_grad: As there.
        rfeatures: As :func:`carafe_forward` wrote it: the features.
        masks: As there.
        rtop_grad: Not used.
        rbottom_grad_hs: Not used.
        rbottom_grad: Not used.
        rmask_grad: Not used.
        bottom_grad: As there.
        mask_grad: As there.
        kernel_size: As there.
        group_size: As there.
        scale_factor: As there.
    """
    carafe_naive_backward(
        top_grad, rfeatures, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor
    )


def _by_cell(large: Tensor, groups: int, scale: int) -> Tensor:
    """(N, G · c, H · scale, W · scale) as (N, G, c, scale, scale, H, W): places within a cell, then cells."""
    height, width = large.size(2) // scale, large.size(3) // scale
    apart = large.unflatten(3, (width, scale)).unflatten(2, (height, scale)).unflatten(1, (groups, -1))
    return apart.permute(0, 1, 2, 4, 6, 3, 5).contiguous()


def _from_cells(cells: Tensor) -> Tensor:
    """The way back from :func:`_by_cell`."""
    return cells.permute(0, 1, 2, 5, 3, 6, 4).flatten(1, 2).flatten(4, 5).flatten(2, 3)


def _padded(features: Tensor, kernel_size: int) -> Tensor:
    reach = kernel_size // 2
    return F.pad(features, (reach, reach, reach, reach))


def _in_cells(window: Tensor) -> Tensor:
    """(N, G, c, H, W) as (N, G, c, 1, 1, H, W): the same at all places within a cell."""
    return window[:, :, :, None, None]


def _windows(padded: Tensor, features: Tensor, kernel_size: int) -> Iterator[Tensor]:
    """For each place of the window, row by row, what lies there about each cell: views of ``padded``.

    Yields:
        (N, G, C / G, H, W).
    """
    height, width = features.shape[2:]
    for row in range(kernel_size):
        for column in range(kernel_size):
            yield padded[..., row : row + height, column : column + width]
