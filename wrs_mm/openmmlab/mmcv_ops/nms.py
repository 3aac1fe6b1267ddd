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
        (K,) int64: the boxes that remain, by descending lowered score; those of which it is NaN come last.
    """
    box, score = _to_numpy(boxes), _to_numpy(scores).copy()
    factors = _Factors(box, iou_threshold, sigma, method, offset)
    # Box and score at each position; those before `i` are settled.
    order, count = np.arange(len(box)), len(box)
    i = 0
    while i < count:
        best = i + _greatest(score[i:count])
        order[i], order[best] = order[best], order[i]
        score[i], score[best] = score[best], score[i]
        rest, lowered = order[i + 1 : count], score[i + 1 : count]
        lowered *= factors.of(order[i:count], score[i:count])[rest]
        dropped = lowered < min_score
        if np.count_nonzero(dropped):
            kept = _drop(np.arange(len(rest)), dropped)
            rest[: len(kept)], lowered[: len(kept)] = rest[kept], lowered[kept]
            count = i + 1 + len(kept)
        i += 1
    order, score = order[:count], score[:count]
    dets[:count] = torch.from_numpy(np.column_stack([box[order], score]))
    return torch.from_numpy(order)


def _greatest(score: _Array) -> int:
    """Where the greatest score is, the first of equal ones; NaN is less than all others."""
    best = int(score.argmax())
    if score[best] == score[best]:
        return best
    numbers = np.flatnonzero(~np.isnan(score))
    return int(numbers[score[numbers].argmax()]) if len(numbers) else 0


class _Factors:
    """What each box multiplies the scores of the others by: those of several boxes are had by one call.

    Args:
        box: (N, 4).
        iou_threshold: As of :func:`softnms`.
        sigma: As of :func:`softnms`.
        method: As of :func:`softnms`.
        offset: As of :func:`softnms`.
    """

    _AT_ONCE = 2**16
    """Factors that are had by one call."""

    _KEPT = 2**24
    """Factors that are kept for their turn, at most."""

    def __init__(self, box: _Array, iou_threshold: float, sigma: float, method: int, offset: int) -> None:
        self._box, self._area = box, _areas(box, offset)
        self._options = iou_threshold, sigma, method, offset
        self._at_once = max(1, self._AT_ONCE // max(1, len(box)))
        self._rows: dict[int, _Array] = {}

    def of(self, order: _Array, score: _Array) -> _Array:
        """Return the factors of the first box in ``order`` for all N.

        Args:
            order: Boxes that are not settled.
            score: Their scores; the greatest are expected to have their turns next.
        """
        top = int(order[0])
        if top not in self._rows:
            if (len(self._rows) + self._at_once) * len(self._box) > self._KEPT:
                self._rows.clear()
            next_ones = order
            if len(order) > self._at_once:
                next_ones = order[np.argpartition(-score, self._at_once - 1)[: self._at_once]]
            missing = [
                top,
                *(index for index in next_ones.tolist() if index not in self._rows and index != top),
            ]
            self._rows.update(zip(missing, self._compute(np.array(missing)), strict=True))
        return self._rows.pop(top)

    def _compute(self, tops: _Array) -> _Array:
        iou_threshold, sigma, method, offset = self._options
        iou = _iou(self._box[tops, None], self._box, self._area[tops, None], self._area, offset)
        if method == _NAIVE:
            return np.where(iou >= iou_threshold, iou.dtype.type(0), iou.dtype.type(1))
        if method == _LINEAR:
            return np.where(iou >= iou_threshold, 1 - iou, iou.dtype.type(1))
        iou *= iou
        iou /= -sigma
        return np.exp(iou, out=iou)


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
        suppressed = _iou(box[top], box[rest], area[top], area[rest], offset=0) >= iou_threshold
        groups.append([int(top), *rest[suppressed].tolist()])
        remaining = rest[~suppressed]
    return groups


def _to_numpy(tensor: Tensor) -> _Array:
    """Return the values in float32 or wider: areas of half-precision boxes would overflow."""
    half = tensor.dtype in (torch.float16, torch.bfloat16)
    return (tensor.float() if half else tensor).detach().numpy()


def _areas(box: _Array, offset: int) -> _Array:
    return (box[:, 2] - box[:, 0] + offset) * (box[:, 3] - box[:, 1] + offset)


def _iou(box: _Array, others: _Array, area: _Array, other_area: _Array, offset: int) -> _Array:
    """IoU of boxes of which coordinates are along the last axis; the others broadcast."""
    width = np.minimum(box[..., 2], others[..., 2])
    width -= np.maximum(box[..., 0], others[..., 0])
    height = np.minimum(box[..., 3], others[..., 3])
    height -= np.maximum(box[..., 1], others[..., 1])
    for side in (width, height):
        if offset:
            side += offset
        np.maximum(side, 0, out=side)
    width *= height
    union = area + other_area
    union -= width
    with np.errstate(divide="ignore", invalid="ignore"):  # two boxes without area: NaN, as in mmcv
        return np.divide(width, union, out=width)


def _drop(order: _Array, dropped: _Array) -> _Array:
    """Fill each dropped place from the end, as mmcv does: it decides between equal scores."""
    n_kept = int((~dropped).sum())
    kept = order[:n_kept].copy()
    from_the_end = order[n_kept:][~dropped[n_kept:]][::-1]
    kept[dropped[:n_kept]] = from_the_end
    return kept
