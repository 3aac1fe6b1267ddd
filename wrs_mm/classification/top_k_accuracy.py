"""The share of images whose class is among the first few that a classifier names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS


@METRICS.register_module()
class TopKAccuracy(BaseMetric):
    """Accuracy in percent, under mmpretrain's names: ``accuracy/top1``, ``accuracy/top5``.

    The rank of the true class is the number of classes that score at least as high, itself left out: a
    network that cannot tell classes apart is not right by their order. A score that is no number is wrong.

    Args:
        topk: Which.
        collect_device, prefix: As of mmengine's metrics.
    """

    default_prefix = "accuracy"

    def __init__(
        self, topk: Sequence[int] = (1, 5), collect_device: str = "cpu", prefix: str | None = None
    ) -> None:
        super().__init__(collect_device, prefix)
        self._topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the rank of each image's true class."""
        for sample in data_samples:
            scores, label = sample["pred_score"], int(sample["gt_label"])
            finite = bool(torch.isfinite(scores).all())
            self.results.append(int((scores >= scores[label]).sum()) - 1 if finite else len(scores))

    def compute_metrics(self, results: list[int]) -> dict[str, float]:
        """The accuracies, of all images' ranks."""
        ranks = np.asarray(results)
        return {f"top{k}": float(100 * (ranks < k).mean()) for k in self._topk}
