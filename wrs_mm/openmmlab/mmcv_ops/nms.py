"""Non-maximum suppression: ``nms``, ``softnms`` and ``nms_match`` of ``mmcv._ext``.

Signatures, order and ties are those of ``mmcv/ops/csrc/pytorch/cpu/nms.cpp`` (mmcv 2.1.0): ``nms``
suppresses above the threshold, the other two also at it. mmcv runs those two on the CPU only, and
so does this file, in numpy, whose calls on short vectors cost less than torch's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor

_Array = NDArray[Any]

# mmcv's `method` of softnms; 2 is Gaussian
_NAIVE, _LINEAR = 0, 1


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of the boxes that remain, by descending score.

    Args:
        boxes: (N, 4), ``x1, y1, x2, y2``, any floating dtype, any device.
        scores: (N,).
        iou_threshold: A box goes when its IoU with a better one is greater.
        offset: 0 or 1, added to every width and height (1: coordinates are whole pixels).

    Returns:
        (K,) int64, on the device of ``boxes``.
    """
    if offset:
        # Moving x2 and y2 gives the same widths; float64 keeps that sum exact for float32 boxes.
        boxes = boxes.double() + boxes.new_tensor([0, 0, offset, offset], dtype=torch.float64)
    elif boxes.dtype in (torch.float16, torch.bfloat16):
        boxes = boxes.float()
    # The threshold in the type of the IoU: an IoU of 0.3 must not exceed a threshold of 0.3.
    threshold = torch.tensor(iou_threshold, dtype=boxes.dtype).item()
    return torchvision.ops.nms(boxes, scores.to(boxes.dtype), threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Lower the scores of boxes that overlap better ones (Bodla et al., Soft-NMS, 2017).

    Args:
        boxes: (N, 4), ``x1, y1, x2, y2``, on the CPU.
        scores: (N,), on the CPU.
        dets: (N, 5), on the CPU; its first K rows are written: box and lowered score.
        iou_threshold: From here on the naive and the linear method lower a score.
        sigma: The Gaussian method multiplies by ``exp(-IoU² / sigma)``.
        min_score: A box whose lowered score is smaller goes.
        method: 0 naive (to zero), 1 linear (times ``1 - IoU``), 2 Gaussian.
        offset: 0 or 1, added to every width and height.

    Returns:
        (K,) int64: the boxes that remain, by descending lowered score.
    """
    box = _to_numpy(boxes)
    score = _to_numpy(scores).copy()
    area = _areas(box, offset)
    order = np.arange(len(box))  # box at each position; those before `i` are settled
    i = 0
    while i < len(order):
        best = i + int(score[order[i:]].argmax())
        order[[i, best]] = order[[best, i]]
        top, rest = order[i], order[i + 1 :]
        iou = _iou_with(top, rest, box, area, offset)
        if method == _NAIVE:
            factor = np.where(iou >= iou_threshold, 0, 1)
        elif method == _LINEAR:
            factor = np.where(iou >= iou_threshold, 1 - iou, 1)
        else:
            factor = np.exp(-(iou * iou) / sigma)
        score[rest] *= factor
        order = np.concatenate([order[: i + 1], _drop(rest, score[rest] < min_score)])
        i += 1
    dets[: len(order)] = torch.from_numpy(np.column_stack([box, score])[order])
    return torch.from_numpy(order)


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group every suppressed box with the box that suppressed it.

    Args:
        dets: (N, 5), ``x1, y1, x2, y2, score``, on the CPU.
        iou_threshold: A box joins a better one's group when their IoU is this or greater.

    Returns:
        One list a group: the remaining box, then those it suppressed, by descending score.
    """
    box = _to_numpy(dets[:, :4])
    area = _areas(box, offset=0)
    remaining = torch.sort(dets[:, 4], descending=True, stable=True).indices.numpy()
    groups = []
    while len(remaining):
        top, rest = remaining[0], remaining[1:]
        suppressed = _iou_with(top, rest, box, area, offset=0) >= iou_threshold
        groups.append([int(top), *rest[suppressed].tolist()])
        remaining = rest[~suppressed]
    return groups


def _to_numpy(tensor: Tensor) -> _Array:
    """Return the values in float32 or wider: areas of half-precision boxes would overflow."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return (tensor.float() if half else tensor).detach().numpy()


def _areas(box: _Array, offset: int) -> _Array:
    return (box[:, 2] - box[:, 0] + offset) * (box[:, 3] - box[:, 1] + offset)


def _iou_with(top: int, others: _Array, box: _Array, area: _Array, offset: int) -> _Array:
    low = np.maximum(box[top, :2], box[others, :2])
    high = np.minimum(box[top, 2:], box[others, 2:])
    size = np.maximum(high - low + offset, 0)
    intersection = size[:, 0] * size[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):  # two boxes without area: NaN, as in mmcv
        return intersection / (area[top] + area[others] - intersection)


def _drop(order: _Array, dropped: _Array) -> _Array:
    """Fill each dropped place from the end, as mmcv does: it decides between equal scores."""
    n_kept = int((~dropped).sum())
    kept = order[:n_kept].copy()
    from_the_end = order[n_kept:][~dropped[n_kept:]][::-1]
    kept[dropped[:n_kept]] = from_the_end
    return kept
