"""What mini-coco shows, on the grounds of ``textures.py``, and that its annotations say it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from wrs_mm.datasets import mini_detection


def _disc(size: int = 64, radius: int = 20, hole: int = 0) -> mini_detection.Mask:
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - 30, columns - 25)
    return (distance <= radius) & (distance >= hole)


@pytest.mark.parametrize("hole", [0, 8])
def test_segmentation_decodes_to_the_mask(tmp_path: Path, hole: int) -> None:
    mask = _disc(hole=hole)
    annotation = {"id": 1, "image_id": 1, "category_id": 1, **mini_detection.annotate(mask)}
    content = {
        "images": [{"id": 1, "width": 64, "height": 64}],
        "categories": [{"id": 1, "name": "disc"}],
        "annotations": [annotation],
        "info": {},
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    coco = COCO(str(tmp_path / "a.json"))
    decoded = coco.annToMask(coco.anns[1]).astype(bool)
    assert (decoded & mask).sum() / (decoded | mask).sum() > 0.97
    assert annotation["area"] == mask.sum()


def test_only_a_mask_with_a_hole_is_run_length_coded() -> None:
    assert isinstance(mini_detection.annotate(_disc())["segmentation"], list)
    assert isinstance(mini_detection.annotate(_disc(hole=8))["segmentation"], dict)


def test_box_encloses_the_mask_tightly() -> None:
    mask = np.zeros((32, 32), bool)
    mask[5:9, 10:22] = True
    assert mini_detection.annotate(mask)["bbox"] == [10, 5, 12, 4]


def test_visible_parts_do_not_overlap() -> None:
    for seed in range(20):
        _, objects = mini_detection.render_image(np.random.default_rng(seed))
        covered = sum(mask.astype(int) for _, mask in objects)
        assert np.max(covered) <= 1


def test_every_class_is_drawn_within_its_outline() -> None:
    areas = []
    for category in range(len(mini_detection.CLASSES)):
        points = mini_detection.outline(category, 10.0, 0.3)
        assert np.hypot(*points.T).max() <= 11.01
        x, y = points.T
        areas.append(0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
    # A ring differs from a disc by its hole alone; all other outlines enclose different areas.
    assert len({round(area, 3) for area in areas}) == len(areas) - 1


def test_mmdet_reads_the_set_with_boxes_and_masks(tiny_mini: Path) -> None:
    from mmdet.datasets import CocoDataset
    from mmdet.utils import register_all_modules

    register_all_modules()
    dataset = CocoDataset(
        data_root=str(tiny_mini / "mini-coco"),
        ann_file="annotations/instances_train2017.json",
        data_prefix={"img": "train2017/"},
        metainfo={"classes": mini_detection.CLASSES},
        pipeline=[
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations", "with_bbox": True, "with_mask": True},
            {"type": "PackDetInputs"},
        ],
    )
    content = json.loads((tiny_mini / "mini-coco/annotations/instances_train2017.json").read_text())
    assert len(dataset) == 4
    found = [dataset[i] for i in range(4)]
    assert all(item["inputs"].shape == (3, 128, 128) for item in found)
    assert sum(len(item["data_samples"].gt_instances) for item in found) == len(content["annotations"])
    for item in found:
        instances = item["data_samples"].gt_instances
        inside = instances.masks.get_bboxes("hbox").tensor
        assert (inside - instances.bboxes.tensor).abs().max() <= 1
