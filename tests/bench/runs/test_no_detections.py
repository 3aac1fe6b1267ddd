"""A detector that finds nothing is measured as 0."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from wrs_mm.bench.runs.metrics import in_percent
from wrs_mm.bench.runs.no_detections import zero_metrics


@pytest.fixture
def coco(tmp_path: Path) -> Evaluator:
    """mmdet's evaluator on an image with one object."""
    from mmdet.evaluation import CocoMetric

    truth = {
        "images": [{"id": 1, "file_name": "1.png", "width": 32, "height": 32}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 20, 20], "area": 400, "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "disc"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    evaluator = Evaluator(CocoMetric(ann_file=str(tmp_path / "truth.json"), metric="bbox"))
    evaluator.dataset_meta = {"classes": ("disc",)}
    return evaluator


def _evaluate(evaluator: Evaluator, boxes: list[list[float]]) -> dict[str, float]:
    found = {
        "bboxes": torch.tensor(np.array(boxes, np.float32).reshape(-1, 4)),
        "scores": torch.full((len(boxes),), 0.9),
        "labels": torch.zeros(len(boxes), dtype=torch.long),
    }
    evaluator.process([{"img_id": 1, "ori_shape": (32, 32), "pred_instances": found}])
    return evaluator.evaluate(1)


def test_a_detector_that_finds_nothing_has_the_ap_of_one_that_finds_only_what_is_not_there(coco):
    nothing = _evaluate(coco, [])
    # If mmdet says it one day, this module may go.
    assert nothing == {}
    zero = in_percent(zero_metrics(coco), "detection")
    assert zero == {"bbox_mAP": 0.0, "bbox_mAP_50": 0.0, "bbox_mAP_75": 0.0}
    wrong = in_percent(_evaluate(coco, [[25, 25, 31, 31]]), "detection")
    assert {name: wrong[name] for name in zero} == zero


def test_an_evaluator_of_something_else_is_not_spoken_for():
    assert zero_metrics(Evaluator([])) == {}
