"""RoI align: ``roi_align_forward`` and ``roi_align_backward`` of ``mmcv._ext``.

Average pooling is torchvision's operator, which computes the same (He et al., Mask R-CNN, 2017).
Maximum pooling is built on it, see :mod:`wrs_mm.openmmlab.mmcv_ops.roi_align_max`.
"""

from __future__ import annotations

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from wrs_mm.openmmlab.mmcv_ops.precision import known_to_torchvision
from wrs_mm.openmmlab.mmcv_ops.roi_align_max import max_pool, max_pool_backward
from wrs_mm.openmmlab.mmcv_ops.rois import of_others, somewhere, spoil_gradient, spoil_output

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
    features = known_to_torchvision(input)
    rois, nowhere = somewhere(rois.to(features.dtype))
    if pool_mode == _MAX:
        max_pool(features, rois, output, argmax_y, argmax_x, spatial_scale, sampling_ratio, aligned)
    else:
        output.copy_(
            torch.ops.torchvision.roi_align(
                features, rois, spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned
            )
        )
    spoil_output(output, nowhere)


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
    gradient = known_to_torchvision(grad_output)
    given = rois.to(gradient.dtype)
    rois, nowhere = somewhere(given)
    gradient = of_others(gradient, nowhere)
    if pool_mode == _MAX:
        max_pool_backward(gradient, rois, argmax_y, argmax_x, grad_input)
    else:
        grad_input.copy_(
            torch.ops.torchvision._roi_align_backward(
                gradient,
                rois,
                spatial_scale,
                aligned_height,
                aligned_width,
                *grad_input.shape,
                sampling_ratio,
                aligned,
            )
        )
    spoil_gradient(grad_input, given, nowhere)
