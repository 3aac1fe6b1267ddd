"""IoU of boxes: ``bbox_overlaps`` of ``mmcv._ext``."""

from __future__ import annotations

import torch
from torch import Tensor

_IOU = 0  # mmcv's `mode`; 1 divides by the area of the first box alone («iof»)


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Write the overlap of each pair of boxes to ``ious``.

    Like compiled mmcv on the CPU, two boxes without area give NaN where ``offset`` is 0.

    Args:
        bboxes1: (M, 4), ``x1, y1, x2, y2``.
        bboxes2: (N, 4); N = M where ``aligned``.
        ious: (M, N), or (M,) where ``aligned``: box i is compared with box i only. Written.
        mode: 0 intersection over union, 1 intersection over the area of ``bboxes1``.
        aligned: See ``ious``.
        offset: 0 or 1, added to every width and height.
    """
    first = bboxes1 if aligned else bboxes1[:, None]
    low = torch.maximum(first[..., :2], bboxes2[..., :2])
    high = torch.minimum(first[..., 2:], bboxes2[..., 2:])
    intersection = (high - low + offset).clamp(min=0).prod(dim=-1)
    area = (first[..., 2:] - first[..., :2] + offset).prod(dim=-1)
    if mode == _IOU:
        area = area + (bboxes2[..., 2:] - bboxes2[..., :2] + offset).prod(dim=-1) - intersection
    ious.copy_(intersection / area)
