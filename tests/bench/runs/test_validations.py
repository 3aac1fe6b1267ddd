"""What a run keeps of its validations."""

from __future__ import annotations

import math

import pytest

from wrs_mm.bench.runs.validations import Validations


@pytest.fixture
def path(tmp_path):
    return tmp_path / "validations.json"


def test_what_was_measured_is_there_again_to_the_last_bit(path):
    validations = Validations(path)
    validations.add(10, {"mIoU": 0.1 + 0.2, "table": "text", "empty_class": math.nan})
    validations.write()
    assert Validations(path).at(10) == {"mIoU": 0.1 + 0.2}
    assert Validations(path).at(20) is None


def test_a_resumed_run_forgets_what_it_will_measure_again(path):
    validations = Validations(path)
    for iteration, value in ((10, 1.0), (20, 3.0), (30, 2.0)):
        validations.add(iteration, {"mIoU": value})
    validations.forget_after(25)
    assert validations.at(30) is None
    validations.add(30, {"mIoU": 5.0})
    best = validations.best(None, "greater", "segmentation")
    assert best is not None
    assert (best.iteration, best.metrics, best.key) == (30, {"mIoU": 5.0}, "mIoU")


@pytest.mark.parametrize(
    ("key", "rule", "iteration"),
    [
        (None, "greater", 20),  # the main metric; of equal ones the first
        ("coco/bbox_mAP", "greater", 20),
        ("coco/bbox_mAP", "less", 10),
        ("coco/bbox_mAP_50", "greater", 30),
        ("auto", "less", 30),  # the evaluator's first
    ],
)
def test_the_best_validation_goes_by_the_recipe_s_metric(path, key, rule, iteration):
    validations = Validations(path)
    for at, loss, ap, ap50 in ((10, 3, 0.1, 0.3), (20, 2, 0.2, 0.3), (30, 1, 0.2, 0.4)):
        validations.add(at, {"loss": loss, "coco/bbox_mAP": ap, "coco/bbox_mAP_50": ap50})
    best = validations.best(key, rule, "detection")
    assert best is not None
    assert best.iteration == iteration
    assert best.metrics["bbox_mAP"] == {10: 10, 20: 20, 30: 20}[iteration]


def test_without_a_metric_to_go_by_none_is_best(path):
    validations = Validations(path)
    assert validations.best(None, "greater", "detection") is None
    validations.add(10, {"other": 1.0})
    assert validations.best(None, "greater", "detection") is None
