"""Accuracy against a count by sorting."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from wrs_mm.classification import TopKAccuracy


def measured(scores: torch.Tensor, labels: list[int]) -> dict[str, float]:
    metric = TopKAccuracy(topk=(1, 5))
    samples = [{"pred_score": s, "gt_label": torch.tensor([k])} for s, k in zip(scores, labels, strict=True)]
    for begin in range(0, len(samples), 7):  # in batches, the last one smaller
        metric.process(None, samples[begin : begin + 7])
    return metric.evaluate(len(samples))


def test_it_is_the_share_of_images_whose_class_is_among_the_first() -> None:
    generator = np.random.default_rng(0)
    scores = generator.uniform(size=(50, 12)).astype(np.float32)
    labels = generator.integers(0, 12, 50)
    order = np.argsort(-scores, axis=1)
    expected = {
        k: 100 * np.mean([label in row[:k] for row, label in zip(order, labels, strict=True)]) for k in (1, 5)
    }
    found = measured(torch.from_numpy(scores), labels.tolist())
    assert found == pytest.approx({"accuracy/top1": expected[1], "accuracy/top5": expected[5]})
    assert 0 < found["accuracy/top1"] < found["accuracy/top5"] < 100


def test_scores_that_do_not_tell_classes_apart_are_not_right() -> None:
    assert measured(torch.full((3, 10), 0.1), [0, 4, 9])["accuracy/top5"] == 0
    broken = torch.full((3, 10), math.nan)
    assert measured(broken, [0, 4, 9]) == {"accuracy/top1": 0, "accuracy/top5": 0}
