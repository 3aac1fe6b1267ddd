"""What mini-cityscapes shows, and that its label maps say it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from wrs_mm.datasets import mini_segmentation


def test_every_rare_class_in_turn_shows_all_classes() -> None:
    seen: set[int] = set()
    for index, wanted in enumerate(mini_segmentation.RARE):
        _, labels = mini_segmentation.render_scene(np.random.default_rng(index), wanted)
        assert (labels == wanted).sum() > 50
        seen |= set(np.unique(labels).tolist())
    assert seen == {*range(19), 255}


def test_label_ids_are_those_of_cityscapes() -> None:
    train_ids = np.array([[0, 10, 13, 18, 255]], np.uint8)
    # road, sky, car, bicycle, ego vehicle
    assert mini_segmentation.label_ids(train_ids).tolist() == [[7, 23, 26, 33, 1]]


def test_file_names_are_those_of_cityscapes(tiny_mini: Path) -> None:
    root = tiny_mini / "mini-cityscapes"
    found = sorted(str(p.relative_to(root)) for p in root.rglob("*.png") if "train/b" in str(p))
    assert found == [
        "gtFine/train/b/b_000000_000019_gtFine_labelIds.png",
        "gtFine/train/b/b_000000_000019_gtFine_labelTrainIds.png",
        "leftImg8bit/train/b/b_000000_000019_leftImg8bit.png",
    ]


def test_mmseg_reads_the_set(tiny_mini: Path) -> None:
    from mmseg.datasets import CityscapesDataset
    from mmseg.utils import register_all_modules

    register_all_modules()
    root = tiny_mini / "mini-cityscapes"
    dataset = CityscapesDataset(
        data_root=str(root),
        data_prefix={"img_path": "leftImg8bit/train", "seg_map_path": "gtFine/train"},
        pipeline=[
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations"},
            {"type": "PackSegInputs"},
        ],
    )
    assert len(dataset) == 3
    for item in (dataset[i] for i in range(3)):
        sample = item["data_samples"]
        assert item["inputs"].shape == (3, 128, 256)
        stored = cv2.imread(sample.seg_map_path, cv2.IMREAD_UNCHANGED)
        assert (sample.gt_sem_seg.data[0].numpy() == stored).all()
