"""From what a toolbox's evaluator returns to named numbers in percent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

MAIN = {
    "detection": ("bbox_mAP", "bbox_mAP_50", "segm_mAP", "segm_mAP_50"),
    "segmentation": ("mIoU", "mAcc"),
    "classification": ("top1", "top5"),
}
"""The metrics that tables show, by task; those that a recipe does not measure are left out."""

_FRACTION = re.compile(r"(^|_)(mAP|AP\d*|AR)(_|@|\d|$)")
"""mmdet's AP and AR are fractions of 1; its panoptic quality, all of mmseg's and accuracies are percent."""


def in_percent(metrics: Mapping[str, Any], task: str) -> dict[str, float]:
    """Rename and rescale an evaluator's metrics.

    Args:
        metrics: As mmengine's evaluator returns them, e.g. ``{'coco/bbox_mAP': 0.153}``.
        task: ``detection``, ``segmentation`` or ``classification``.

    Returns:
        Metrics without the evaluator's prefix, AP, AR, IoU and accuracies in percent, sorted by
        name. Left out: what is no number, what is not finite, and COCO's −1 for «no such object».
    """
    named = {}
    for key, number in sorted(finite_numbers(metrics).items()):
        name = metric_name(key)
        if task == "detection" and _FRACTION.search(name):
            if number < 0:
                continue
            # Evaluators round the fraction; do the same to the noise that × 100 adds.
            number = round(100 * number, 6)
        named[name] = number
    return named


def finite_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """What is a finite number among an evaluator's metrics, under the same names."""
    numbers = {key: float(value) for key, value in metrics.items() if hasattr(value, "__float__")}
    return {key: number for key, number in numbers.items() if math.isfinite(number)}


def metric_name(key: str) -> str:
    """An evaluator's key without its prefix: ``bbox_mAP`` of ``coco/bbox_mAP``."""
    return key.rpartition("/")[2]


def main_key(keys: Iterable[str], task: str) -> str | None:
    """The evaluator's key of a task's main metric, among these."""
    by_name = {metric_name(key): key for key in reversed(list(keys))}
    return next((by_name[name] for name in MAIN.get(task, ()) if name in by_name), None)
