"""What RoI operators do alike: gradients of single cells, and regions that are NaN or infinite.

torchvision's kernels turn a corner into an index before they look at it; on a CPU that ends the process. A
region that is not finite is nowhere: all that is pooled from it is NaN, and so is the gradient of the
features that it may have been pooled from, those of its image.
"""

from __future__ import annotations

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor


def perhaps(asked: Tensor) -> bool:
    """Whether anything is true in a tensor; on a GPU True, as to look makes the processor wait for it."""
    return asked.device.type != "cpu" or bool(asked.any())


def somewhere(rois: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the regions with those that are nowhere moved to image 0, and which they are; None for none.

    Args:
        rois: (K, 5), ``batch index, x1, y1, x2, y2``.
    """
    nowhere = ~torch.isfinite(rois).all(dim=1)
    return (rois.masked_fill(nowhere[:, None], 0), nowhere) if perhaps(nowhere) else (rois, None)


def spoil_output(output: Tensor, nowhere: Tensor | None) -> None:
    """Write what is pooled from regions that are nowhere."""
    if nowhere is not None:
        output.masked_fill_(nowhere[:, None, None, None], torch.nan)


def of_others(gradient: Tensor, nowhere: Tensor | None) -> Tensor:
    """Return the gradient of what was pooled, with zeros for regions that are nowhere, as they were moved."""
    return gradient if nowhere is None else gradient.masked_fill(nowhere[:, None, None, None], 0)


def spoil_gradient(grad_input: Tensor, rois: Tensor, nowhere: Tensor | None) -> None:
    """Write the gradient of the features of images with a region that is nowhere.

    Args:
        grad_input: (B, C, H, W).
        rois: As :func:`somewhere` got them.
        nowhere: As it returned them.
    """
    if nowhere is not None:
        images = rois[:, 0]
        numbers = torch.arange(len(grad_input), device=rois.device)
        spoiled = ((images == numbers[:, None]) & nowhere).any(dim=1)
        # Whose region it is may be what nobody knows.
        spoiled = spoiled | (nowhere & ~torch.isfinite(images)).any()
        grad_input.masked_fill_(spoiled[:, None, None, None], torch.nan)


def sum_by_cell(gradient: Tensor, rois: Tensor, cell: Tensor, shape: torch.Size) -> Tensor:
    """Return the sum of what goes to each cell of the features, (B, C, H, W), in single precision or wider.

    Args:
        gradient: (K, C, bins, bins).
        rois: (K, 5); only the batch index is read.
        cell: Same shape as ``gradient``, int32: ``row · W + column``; -1 for none.
        shape: Of the features.
    """
    gradient = gradient.to(torch.promote_types(gradient.dtype, torch.float32))
    if gradient.device.type == "cpu":
        bins = gradient.shape[2:]
        return torch.ops.torchvision._roi_pool_backward(
            gradient, rois.to(gradient.dtype), cell, 1.0, *bins, *shape
        )
    return sum_by_index(gradient, rois, cell, shape)


def sum_by_index(gradient: Tensor, rois: Tensor, cell: Tensor, shape: torch.Size) -> Tensor:
    """Compute what :func:`sum_by_cell` does without torchvision's kernel.

    It has a deterministic form on GPUs, which that kernel lacks; on a CPU it is some times slower.
    """
    channels, height, width = shape[1:]
    plane = rois[:, :1].long() * channels + torch.arange(channels, device=rois.device)
    index = plane[:, :, None, None] * (height * width) + cell.long()
    there = cell >= 0
    sums = gradient.new_zeros(shape)
    # Zeros to the first cell, not a selection: its size would make the processor wait for a GPU.
    index, gradient = index.where(there, 0), gradient.where(there, 0)
    sums.view(-1).index_add_(0, index.flatten(), gradient.flatten())
    return sums
