"""From what a toolbox's evaluator returns to named numbers in percent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

MAIN = {
    "detection": ("bbox_mAP", "bbox_mAP_50", "segm_mAP", "segm_mAP_50"),
    "segmentation": ("mIoU", "mAcc"),
}
"""The metrics that tables show, by task; those that a recipe does not measure are left out."""

_FRACTION = re.compile(r"(^|_)(mAP|AP\d*|AR)(_|@|\d|$)")
"""mmdet's AP and AR are fractions of 1; its panoptic quality and all of mmseg's are percent."""


def in_percent(metrics: Mapping[str, Any], task: str) -> dict[str, float]:
    """Rename and rescale an evaluator's metrics.

    Args:
        metrics: As mmengine's evaluator returns them, e.g. ``{'coco/bbox_mAP': 0.153}``.
        task: ``detection`` or ``segmentation``.

    Returns:
        Metrics without the evaluator's prefix, AP, AR, IoU and accuracies in percent, sorted by
        name. Left out: what is no number, what is not finite, and COCO's −1 for «no such object».
    """
    named = {}
    for key, value in sorted(metrics.items()):
        if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
            continue
        name, number = key.rsplit("/", 1)[-1], float(value)
        if task == "detection" and _FRACTION.search(name):
            if number < 0:
                continue
            # Evaluators round the fraction; do the same to the noise that × 100 adds.
            number = round(100 * number, 6)
        if math.isfinite(number):
            named[name] = number
    return named
