"""The dataset settings of mmdet, mmseg and our recipes read the stand-ins with ``data_root`` changed alone.

The stand-ins lie exactly as COCO 2017 and Cityscapes do, COCO's category identifiers with their gaps
included, so what is read here is what would be read there. Only the sizes in the pipelines are
reduced, for the sake of time. ``standin.py`` makes them.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from standins import REDUCTION, loader, perfect_score, reduced

from wrs_mm.bench.published.baselines import recipes
from wrs_mm.datasets import mini_detection, render_standins, require_dataset, standin
from wrs_mm.datasets.check_coco import categories
from wrs_mm.openmmlab.configs import load_config

DETECTION = ["mmdet::_base_/datasets/coco_detection.py", "mmdet::_base_/datasets/coco_instance.py"]
SEGMENTATION = [
    "mmseg::_base_/datasets/cityscapes.py",
    "mmseg::_base_/datasets/cityscapes_1024x1024.py",
]


@pytest.fixture(scope="module")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stand-ins with a handful of images."""
    root = tmp_path_factory.mktemp("standins")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_detection, "SPLITS", {"train2017": 6, "val2017": 4})
        patch.setattr(standin, "CITIES", {"train": {"a": 3, "b": 1}, "val": {"c": 3}})
        render_standins(root)
    return root


@pytest.mark.parametrize("source", [*DETECTION, *recipes("coco")], ids=lambda source: Path(source).stem)
def test_coco_settings_read_the_stand_in(source: str | Path, standins: Path) -> None:
    root = standins / "standin-coco"
    config = reduced(source, root)
    require_dataset(config)
    train = loader(config, "train", "mmdet")
    names = categories()
    assert train.dataset.metainfo["classes"] == tuple(names.values())
    content = json.loads((root / "annotations/instances_train2017.json").read_text())
    expected: dict[int, list[int]] = {}
    for annotation in content["annotations"]:
        label = list(names).index(annotation["category_id"])
        expected.setdefault(annotation["image_id"], []).append(label)
    seen: dict[int, list[int]] = {}
    masks = any(step.get("with_mask") for step in config.train_dataloader.dataset.pipeline)
    for batch in train:
        assert len(batch["inputs"]) == config.train_dataloader.batch_size
        for sample in batch["data_samples"]:
            seen[sample.img_id] = sample.gt_instances.labels.tolist()
            assert ("masks" in sample.gt_instances) == masks
    assert seen == expected


@pytest.mark.parametrize("source", DETECTION, ids=lambda source: Path(source).stem)
def test_coco_s_evaluator_maps_labels_back_to_coco_s_identifiers(source: str, standins: Path) -> None:
    config = reduced(source, standins / "standin-coco")
    batches = loader(config, "val", "mmdet")
    score = perfect_score(config, batches.dataset, list(batches), "mmdet")
    assert score["coco/bbox_mAP"] == 1.0
    if "instance" in source:
        assert score["coco/segm_mAP"] == 1.0


@pytest.mark.parametrize(
    "source", [*SEGMENTATION, *recipes("cityscapes")], ids=lambda source: Path(source).stem
)
def test_cityscapes_settings_read_the_stand_in(source: str | Path, standins: Path) -> None:
    root = standins / "standin-cityscapes"
    config = reduced(source, root)
    require_dataset(config)
    train = loader(config, "train", "mmseg")
    assert len(train.dataset) == 4 and len(train.dataset.metainfo["classes"]) == 19
    batch = next(iter(train))
    crop = tuple(side // REDUCTION for side in load_config(source).crop_size)
    for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
        # An image that was scaled below the crop stays smaller; the model's preprocessor pads it.
        assert tuple(image.shape[1:]) == tuple(sample.gt_sem_seg.shape)
        assert all(side <= limit for side, limit in zip(image.shape[1:], crop, strict=True))
        labels = set(np.unique(sample.gt_sem_seg.data.numpy()).tolist())
        assert labels <= {*range(19), 255}
    assert len(batch["inputs"]) == config.train_dataloader.batch_size
    val = loader(config, "val", "mmseg")
    batches = list(val)
    for batch in batches:
        (sample,) = batch["data_samples"]
        stored = cv2.imread(sample.seg_map_path, cv2.IMREAD_UNCHANGED)
        assert (sample.gt_sem_seg.data[0].numpy() == stored).all()
    assert perfect_score(config, val.dataset, batches, "mmseg")["mIoU"] == 100.0
