"""What a run measures beside its validations.

That a test split's evaluation survives a kill, and that a training is bit for bit the one that measures no
training images, is in tests/bench/test_splits.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.registry import DATASETS, METRICS, DefaultScope
from mmengine.runner import Runner
from torch.utils.data import Dataset

from wrs_mm.bench.runs.evaluation import (
    EvenSubset,
    TrainImagesHook,
    measure_test,
    train_evaluators,
    train_images_hook,
    without_augmentation,
)
from wrs_mm.openmmlab.protection.random_state_hook import random_state


@DATASETS.register_module()
class _Numbers(Dataset):
    """Numbers that are read with noise, as augmented images are."""

    metainfo: ClassVar[dict] = {"classes": ("number",)}

    def __init__(self, count: int, pipeline: Any = ()) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, float]:
        return {"value": index + 0.1 * float(torch.rand(())) + 0.01 * float(np.random.rand())}


@METRICS.register_module()
class _MeanMetric(BaseMetric):
    """The mean of what the model returned, and how much that was."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        assert self.dataset_meta == {"classes": ("number",)}
        return {"mIoU": float(np.mean(results)), "count": len(results)}


LOADER = {
    "batch_size": 2,
    "num_workers": 0,
    "sampler": {"type": "DefaultSampler", "shuffle": False},
}


def _runner(iteration: int = 0) -> SimpleNamespace:
    """As much of a runner as measures: three validation images, a model that returns what it gets."""
    return SimpleNamespace(
        iter=iteration,
        seed=5,
        val_dataloader=SimpleNamespace(dataset=range(3)),
        val_loop=SimpleNamespace(fp16=False),
        model=SimpleNamespace(val_step=lambda batch: list(batch["value"])),
        build_dataloader=Runner.build_dataloader,
        build_evaluator=Evaluator,
    )


def _hook(record: Path) -> TrainImagesHook:
    validation = {"type": "_Numbers", "count": 3, "pipeline": []}
    config = {
        "val_dataloader": {**LOADER, "persistent_workers": True, "dataset": validation},
        "val_evaluator": {"type": "_MeanMetric"},
        "train_dataloader": {"dataset": {"type": "_Numbers", "count": 10}},
    }
    hook = train_images_hook(config, record)
    assert hook is not None
    return hook


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    words = [state["numpy"][1] for state in (one, other)]
    rest = [[*state["numpy"][:1], *state["numpy"][2:]] for state in (one, other)]
    same = torch.equal(*words) and rest[0] == rest[1] and one["python"] == other["python"]
    return bool(same and torch.equal(one["torch"], other["torch"]))


@pytest.mark.parametrize(
    ("count", "chosen"), [(4, [0, 2, 5, 7]), (10, list(range(10))), (12, list(range(10)))]
)
def test_some_images_are_evenly_spaced_and_never_more_than_there_are(count, chosen):
    subset = EvenSubset({"type": "_Numbers", "count": 10}, count)
    assert list(subset.indices) == chosen
    assert subset.metainfo == _Numbers.metainfo


def test_training_images_are_measured_at_each_validation_without_touching_random_numbers(tmp_path):
    record = tmp_path / "train_validations.json"
    hook, runner = _hook(record), _runner()
    torch.manual_seed(1)
    np.random.seed(1)
    before = random_state()
    hook.before_train(runner)
    for runner.iter in (4, 8):
        hook.after_val_epoch(runner, {})
        assert _equal(random_state(), before)
    first, second = json.loads(record.read_text())
    assert (first["iteration"], second["iteration"]) == (4, 8)
    # As many as validation images, 0, 3 and 6, read with the same random numbers each time.
    assert first["metrics"] == second["metrics"] and first["metrics"]["count"] == 3
    assert 3 < first["metrics"]["mIoU"] < 3.2
    torch.rand(1)
    assert not _equal(random_state(), before)


def test_a_resumed_run_measures_again_what_came_after_its_checkpoint(tmp_path):
    record = tmp_path / "train_validations.json"
    hook, runner = _hook(record), _runner()
    hook.before_train(runner)
    for runner.iter in (4, 8):
        hook.after_val_epoch(runner, {})
    whole = record.read_bytes()
    again, runner = _hook(record), _runner(6)
    again.before_train(runner)
    assert again.validations.at(4) is not None and again.validations.at(8) is None
    runner.iter = 8
    again.after_val_epoch(runner, {})
    assert record.read_bytes() == whole


def test_the_test_split_is_measured_from_the_seed_and_must_give_metrics():
    drawn: list[float] = []

    def run() -> dict[str, float]:
        drawn.append(float(torch.rand(())))
        return {"mIoU": 1.0} if len(drawn) < 3 else {}

    loop = SimpleNamespace(run=run, evaluator=Evaluator([]))
    runner = SimpleNamespace(seed=3, _test_loop={}, build_test_loop=lambda _: loop, test_loop=loop)
    assert measure_test(runner) == measure_test(runner) == {"mIoU": 1.0}
    assert drawn[0] == drawn[1]
    with pytest.raises(RuntimeError, match="without metrics"):
        measure_test(runner)


VALIDATION = {"type": "CocoDataset", "test_mode": True, "pipeline": [{"type": "Load"}, {"type": "Pack"}]}


def test_training_images_are_read_as_validation_images_are_whatever_wraps_them():
    plain = {
        "type": "CocoDataset",
        "ann_file": "train.json",
        "pipeline": [{"type": "Load"}, {"type": "Flip"}],
    }
    expected = {**VALIDATION, "ann_file": "train.json"}
    for dataset in (
        plain,
        {"type": "RepeatDataset", "times": 3, "dataset": plain},
        {"type": "MultiImageMixDataset", "pipeline": [{"type": "Mosaic"}], "dataset": plain},
    ):
        assert without_augmentation(dataset, VALIDATION) == expected
        assert without_augmentation(dataset, {"type": "ConcatDataset", "datasets": [VALIDATION]}) == expected
    joined = {"type": "ConcatDataset", "datasets": [plain, {"type": "RepeatDataset", "dataset": plain}]}
    assert without_augmentation(joined, VALIDATION) == {**joined, "datasets": [expected, expected]}
    assert plain["pipeline"][1] == {"type": "Flip"}


def test_only_what_can_measure_other_images_does(tmp_path):
    iou = {"type": "IoUMetric", "iou_metrics": ["mIoU"]}
    coco = {"type": "mmdet.CocoMetric", "ann_file": "val.json", "metric": "bbox"}
    other = {"type": "LVISMetric", "ann_file": "val.json"}
    assert train_evaluators([iou, coco, other]) == [iou, {"type": "mmdet.CocoMetric", "metric": "bbox"}]
    config = {"val_evaluator": other, "val_dataloader": {}, "train_dataloader": {}}
    assert train_images_hook(config, tmp_path / "record.json") is None


def test_training_boxes_are_measured_as_they_would_be_from_their_annotations(tmp_path):
    rng = np.random.default_rng(0)
    images, annotations = [], []
    (tmp_path / "train").mkdir()
    for number in range(6):
        cv2.imwrite(str(tmp_path / "train" / f"{number}.png"), np.zeros((40, 60, 3), np.uint8))
        images.append({"id": 10 + number, "file_name": f"{number}.png", "width": 60, "height": 40})
        for place in range(number % 3):  # one image in three has no object
            x, y, w, h = (float(value) for value in rng.integers(4, 18, 4))
            annotations.append(
                {
                    **{"id": len(annotations) + 1, "image_id": 10 + number, "bbox": [x, y, w, h]},
                    **{"category_id": 7 + place, "area": w * h, "iscrowd": int(number == 5 and place == 0)},
                }
            )
    categories = [{"id": 7, "name": "ring"}, {"id": 8, "name": "disc"}]

    def written(name: str, chosen: list[dict[str, Any]]) -> str:
        ids = {image["id"] for image in chosen}
        own = [annotation for annotation in annotations if annotation["image_id"] in ids]
        path = tmp_path / name
        path.write_text(json.dumps({"images": chosen, "annotations": own, "categories": categories}))
        return str(path)

    train = {
        "type": "RepeatDataset",
        "times": 2,
        "dataset": {
            "type": "CocoDataset",
            "ann_file": written("train.json", images),
            "data_prefix": {"img": str(tmp_path / "train")},
            "metainfo": {"classes": ("ring", "disc")},
            "filter_cfg": {"filter_empty_gt": True},
            "pipeline": [{"type": "LoadImageFromFile"}],
        },
    }
    validation = {
        "type": "CocoDataset",
        "test_mode": True,
        "pipeline": [
            {"type": "LoadImageFromFile"},
            {"type": "Resize", "scale": (90, 60), "keep_ratio": True},
            {"type": "LoadAnnotations", "with_bbox": True},
            {"type": "PackDetInputs", "meta_keys": ("img_id", "ori_shape", "scale_factor")},
        ],
    }
    chosen = images[::2]
    metric = {"type": "CocoMetric", "ann_file": written("subset.json", chosen), "metric": "bbox"}
    import mmdet.datasets
    import mmdet.evaluation  # noqa: F401

    with DefaultScope.overwrite_default_scope("mmdet"):
        subset = EvenSubset(without_augmentation(train, validation), 3)
        evaluators = [Evaluator(metric), Evaluator(train_evaluators(metric))]
        assert len(subset) == 3
        samples = [subset[index]["data_samples"].to_dict() for index in range(3)]
        assert [sample["img_id"] for sample in samples] == [image["id"] for image in chosen]
        for sample in samples:
            boxes = np.array([one["bbox"] for one in sample["instances"]], np.float32).reshape(-1, 4)
            labels = [one["bbox_label"] for one in sample["instances"]]
            sample["pred_instances"] = {
                "bboxes": torch.from_numpy(boxes + rng.normal(0, 0.7, boxes.shape).astype(np.float32)),
                "scores": torch.from_numpy(rng.random(len(boxes)).astype(np.float32)),
                "labels": torch.tensor(labels, dtype=torch.long),
            }
        found = []
        for evaluator in evaluators:
            evaluator.dataset_meta = subset.metainfo
            for _ in range(2):  # at each validation anew
                evaluator.process(samples)
                found.append(evaluator.evaluate(3))
    assert found[0] == found[1] == found[2] == found[3]
    assert 0.1 < found[0]["coco/bbox_mAP"] < 1
