"""A detector that finds nothing has an AP of 0, which mmdet's evaluator does not say: it returns no metrics.

That is a number like any other, which a trial at a bad learning rate may well have, and no failure.
"""

from __future__ import annotations

from typing import Any

_ITEMS = ("mAP", "mAP_50", "mAP_75")
"""The metrics that are 0 whatever the images hold; those of a size do not exist without such objects."""


def zero_metrics(evaluator: Any) -> dict[str, float]:
    """What an evaluator that has returned nothing should have: the metrics of a detector that finds nothing.

    Returns:
        Under the evaluator's names; empty where it has no ``CocoMetric`` of mmdet.
    """
    return {
        f"{metric.prefix}/{kind}_{item}": 0.0
        for metric in evaluator.metrics
        if any(base.__name__ == "CocoMetric" for base in type(metric).__mro__)
        for kind in metric.metrics
        if kind in ("bbox", "segm")
        for item in _ITEMS
    }
