"""Images by class as mmengine's datasets read them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from wrs_mm.classification import ClassFolders
from wrs_mm.datasets import mini_shapes
from wrs_mm.errors import DatasetError

PIPELINE = [{"type": "LoadImageFromFile"}, {"type": "PackClassInputs"}]


def read(root: Path, **options: object) -> ClassFolders:
    return ClassFolders(data_root=str(root), data_prefix={"img_path": "val"}, pipeline=PIPELINE, **options)


def test_labels_are_places_in_the_order_of_classes(few_shapes: Path) -> None:
    dataset = read(few_shapes, num_classes=20)
    assert dataset.metainfo["classes"] == mini_shapes.CLASSES
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        kind = info["img_path"].split("/")[-2]
        assert mini_shapes.CLASSES[info["gt_label"]] == kind
    assert len(dataset) == 20 and len({dataset.get_data_info(i)["gt_label"] for i in range(20)}) == 20


def test_packed_and_unpacked_give_the_same_samples(few_shapes: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(few_shapes / "val.zip") as archive:
        archive.extractall(tmp_path / "val")
    for one, other in zip(read(few_shapes), read(tmp_path), strict=True):
        assert one["inputs"].equal(other["inputs"]) and one["inputs"].shape == (3, 64, 64)
        assert one["data_samples"].gt_label.equal(other["data_samples"].gt_label)


def test_classes_that_are_said_make_the_labels(few_shapes: Path) -> None:
    classes = ["none such", *reversed(mini_shapes.CLASSES)]
    dataset = read(few_shapes, metainfo={"classes": classes})
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        assert classes[info["gt_label"]] == info["img_path"].split("/")[-2]
    with pytest.raises(DatasetError, match="'trapezoid', which is none"):
        read(few_shapes, metainfo={"classes": mini_shapes.CLASSES[:-1]})


def test_another_number_of_classes_is_refused(few_shapes: Path) -> None:
    with pytest.raises(DatasetError, match="has 20 folders of classes, and the config's num_classes is 10"):
        read(few_shapes, num_classes=10)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "val" / "heart").mkdir(parents=True)
    with pytest.raises(DatasetError, match="holds no folder of images"):
        read(tmp_path)
