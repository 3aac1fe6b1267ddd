"""What a segmentor's evaluator keeps, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from wrs_mm.bench.runs.instrument import save_predictions
from wrs_mm.bench.runs.predictions import COUNTS

CLASSES = ("a", "b", "c")


def _samples(count: int, root: Path) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for index in range(count):
        truth = torch.randint(0, 3, (1, 6, 5), generator=generator)
        predicted = torch.where(torch.rand(truth.shape, generator=generator) < 0.3, 2, truth)
        truth[0, 0] = 255
        made.append(
            {
                "img_path": str(root / f"city{index % 2}" / f"{index}.png"),
                "pred_sem_seg": {"data": predicted},
                "gt_sem_seg": {"data": truth},
            }
        )
    return made


def _metric(folder: Path) -> Any:
    from mmengine.registry import METRICS

    config = Config({"val_evaluator": {"type": "IoUMetric", "iou_metrics": ["mIoU"]}})
    assert save_predictions(config, folder)
    metric = METRICS.build(config.val_evaluator)
    metric.dataset_meta = {"classes": CLASSES}
    return metric


def test_a_segmentors_counts_give_the_metric_of_mmseg(tmp_path):
    from mmseg.evaluation import IoUMetric

    samples = _samples(9, tmp_path)
    plain, recording = IoUMetric(iou_metrics=["mIoU"]), _metric(tmp_path / "predictions")
    plain.dataset_meta = {"classes": CLASSES}
    for metric in (plain, recording):
        metric.process({}, samples[:4])
        metric.process({}, samples[4:])
    measured = plain.evaluate(9)
    assert recording.evaluate(9) == measured
    content = np.load(tmp_path / "predictions" / COUNTS)
    assert list(content["image_ids"]) == [f"city{i % 2}/{i}.png" for i in range(9)]
    iou = content["intersect"].sum(0) / content["union"].sum(0)
    assert 100 * float(iou.mean()) == pytest.approx(measured["mIoU"], abs=0.005)


def test_label_maps_of_the_gallery_are_kept_whatever_the_order_of_images(tmp_path):
    samples = _samples(9, tmp_path)
    chosen = []
    for name, order in (("one", samples), ("other", samples[::-1])):
        metric = _metric(tmp_path / name)
        metric.process({}, order)
        metric.evaluate(9)
        content = np.load(tmp_path / name / COUNTS)
        chosen.append(list(content["gallery_ids"]))
        by_path = {sample["img_path"]: sample for sample in samples}
        for number, path in enumerate(content["gallery_paths"]):
            for kind, key in (("", "pred_sem_seg"), (".true", "gt_sem_seg")):
                kept = cv2.imread(str(tmp_path / name / f"{number}{kind}.png"), cv2.IMREAD_GRAYSCALE)
                assert (kept == by_path[str(path)][key]["data"][0].numpy()).all()
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == 4


def test_each_validation_replaces_the_one_before(tmp_path):
    metric = _metric(tmp_path)
    for count in (9, 5):
        metric.process({}, _samples(count, tmp_path))
        metric.evaluate(count)
    assert len(np.load(tmp_path / COUNTS)["image_ids"]) == 5
