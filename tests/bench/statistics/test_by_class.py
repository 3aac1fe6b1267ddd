"""Differences class by class."""

from __future__ import annotations

import math

import torch

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.statistics.bootstrap import SegmentationCounts
from wrs_mm.bench.statistics.by_class import ClassDifference, class_differences
from wrs_mm.bench.statistics.evaluations import EvaluatedRun, Evaluation

CLASSES = ["road", "tree", "nowhere"]


def _run(arm: str, seed: int, ious: list[float]) -> EvaluatedRun:
    spec = RunSpec(
        recipe="r", regularizer=arm, options={}, optimizer="recipe", seed=seed, baseline=arm == "wd"
    )
    counts = SegmentationCounts(["a"], torch.tensor([ious]), torch.tensor([[100.0, 100.0, 0.0]]))
    return EvaluatedRun(spec, "segmentation", [Evaluation("", counts, CLASSES, "")])


def test_differences_are_paired_by_seed_and_the_smallest_mean_comes_first():
    runs = [
        *(_run("wd", 0, [50.0, 60.0, 0.0]), _run("wd", 1, [60.0, 60.0, 0.0])),
        *(_run("wrs", 0, [51.0, 58.0, 0.0]), _run("wrs", 1, [63.0, 59.0, 0.0])),
        _run("wrs", 2, [99.0, 99.0, 0.0]),
    ]
    assert class_differences(runs, "") == {
        "wrs": [ClassDifference("tree", [-2.0, -1.0], -1.5), ClassDifference("road", [1.0, 3.0], 2.0)]
    }


def test_a_class_that_nowhere_occurs_has_no_difference():
    (found,) = class_differences(
        [_run("wd", 0, [1.0, 1.0, 0.0]), _run("wrs", 0, [2.0, 2.0, 0.0])], ""
    ).values()
    assert [one.name for one in found] == ["road", "tree"]
    assert not any(math.isnan(one.mean) for one in found)


def test_without_a_baseline_or_other_predictions_there_is_nothing_to_compare():
    assert class_differences([_run("wrs", 0, [1.0, 1.0, 0.0])], "") == {}
    assert class_differences([_run("wd", 0, [1.0, 1.0, 0.0]), _run("wrs", 0, [2.0, 2.0, 0.0])], "bbox_") == {}
