"""Metrics: named alike and in percent whatever the toolbox returned."""

from __future__ import annotations

import numpy as np

from wrs_mm.bench.runs.metrics import in_percent


def test_detection_fractions_become_percent():
    measured = {"coco/bbox_mAP": 0.153, "coco/bbox_mAP_50": np.float64(0.4), "coco/AR@100": 0.5}
    assert in_percent(measured, "detection") == {
        "bbox_mAP": 15.3,
        "bbox_mAP_50": 40.0,
        "AR@100": 50.0,
    }


def test_coco_s_undefined_ap_is_left_out():
    assert in_percent({"coco/bbox_mAP_l": -1.0}, "detection") == {}


def test_panoptic_quality_and_segmentation_are_percent_already():
    assert in_percent({"coco_panoptic/PQ": 41.5}, "detection") == {"PQ": 41.5}
    assert in_percent({"mIoU": 61.2, "aAcc": 90.0}, "segmentation") == {"mIoU": 61.2, "aAcc": 90.0}


def test_what_is_no_finite_number_is_left_out():
    measured = {"mIoU": float("nan"), "copypaste": "0.1 0.2", "mAcc": 1.0}
    assert in_percent(measured, "segmentation") == {"mAcc": 1.0}
