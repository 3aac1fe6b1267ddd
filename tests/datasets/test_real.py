"""How the photographs are cut into tiles, and that no two splits share a pixel."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from wrs_mm.datasets import fetch_real, real
from wrs_mm.errors import DatasetError


def _png(image: np.ndarray, suffix: str = ".png") -> bytes:
    return bytes(cv2.imencode(suffix, image)[1])


@pytest.fixture
def tree_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> zipfile.ZipFile:
    """A wheel with two small photographs: in val, one box inside a tile and one across its edge."""
    path = tmp_path / "trees.zip"
    rows = {"train2017": slice(0, 200), "val2017": slice(200, 400), "test2017": slice(400, 600)}
    monkeypatch.setattr(real, "TREE_ROWS", {"first": rows, "second": rows})
    boxes = [(10, 220, 50, 270), (182, 300, 222, 340)]
    objects = "".join(
        f"<object><name>Tree</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    with zipfile.ZipFile(path, "w") as archive:
        for stem in ("first", "second"):
            image = np.random.default_rng(0).integers(0, 255, (600, 400, 3), np.uint8)
            for value, part in enumerate(rows.values()):
                image[part, :, 2] = value
            archive.writestr(f"deepforest/data/{stem}.png", _png(image))
            archive.writestr(f"deepforest/data/{stem}.xml", f"<annotation>{objects}</annotation>")
    return zipfile.ZipFile(path)


def test_boxes_are_moved_and_clipped_to_the_tile() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [90, 90, 110, 130], [300, 300, 310, 310]])
    corners, share = real.clip_boxes(boxes, top=100, left=100, tile=50)
    assert corners.tolist() == [[0, 0, 10, 30]]
    assert share.tolist() == [pytest.approx(0.5 * 0.75)]


def test_tiles_without_stride_cover_each_pixel_at_most_once() -> None:
    covered = np.zeros((500, 700), int)
    for top, left in real.tile_origins(500, 700, 192, 192):
        covered[top : top + 192, left : left + 192] += 1
    assert covered.max() == 1 and covered.sum() == 2 * 3 * 192 * 192


@pytest.mark.parametrize("parts", [real.NUCLEI_COLUMNS, *real.TREE_ROWS.values()])
def test_the_splits_of_a_picture_share_no_pixel(parts: dict[str, slice]) -> None:
    taken = [pixel for part in parts.values() for pixel in range(part.start, part.stop)]
    assert len(parts) == 3 and len(set(taken)) == len(taken)


def test_trees_are_split_by_the_rows_of_each_photograph(
    tmp_path: Path, tree_archive: zipfile.ZipFile
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    real.cut_trees(tree_archive, folder)
    # The red channel of the photographs holds which part a row belongs to.
    for value, split in enumerate(("train2017", "val2017", "test2017")):
        tiles = [cv2.imread(str(path)) for path in (folder / split).iterdir()]
        assert tiles and all((tile[..., 2] == value).all() for tile in tiles)


def test_a_crown_cut_by_the_border_is_to_be_ignored(tmp_path: Path, tree_archive: zipfile.ZipFile) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    real.cut_trees(tree_archive, folder)
    content = json.loads((folder / "annotations/instances_val2017.json").read_text())
    found = [(a["image_id"], a["bbox"], a["iscrowd"]) for a in content["annotations"]]
    assert found == [
        (1, [10, 20, 40, 50], 0),
        (1, [182, 100, 10, 40], 1),
        (2, [0, 100, 30, 40], 0),
        (3, [10, 20, 40, 50], 0),
        (3, [182, 100, 10, 40], 1),
        (4, [0, 100, 30, 40], 0),
    ]


def test_nuclei_are_split_by_column_and_labeled_with_two_classes(tmp_path: Path) -> None:
    columns = np.arange(512, dtype=np.uint16)
    picture = np.tile(columns, (512, 1))
    instances = (picture % 7 == 0).astype(np.uint16) * 5
    with zipfile.ZipFile(tmp_path / "nuclei.zip", "w") as archive:
        archive.writestr("stardist/data/images/img2d.tif", _png(picture, ".tif"))
        archive.writestr("stardist/data/images/mask2d.tif", _png(instances, ".tif"))
    folder = tmp_path / "set"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "nuclei.zip") as archive:
        real.cut_nuclei(archive, folder)
    for split, part in real.NUCLEI_COLUMNS.items():
        labels = [
            cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            for path in sorted(folder.glob(f"gtFine/{split}/nuclei/*.png"))
        ]
        tile, stride = real.NUCLEI_TILE, real.NUCLEI_STRIDES[split]
        starts = range(part.start, part.stop - tile + 1, stride)
        assert {tuple(label[0]) for label in labels} == {
            tuple((columns[start : start + tile] % 7 == 0).astype(int)) for start in starts
        }
        rows = len(range(0, 512 - tile + 1, stride))
        assert len(labels) == len(starts) * rows


def test_without_a_package_index_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DatasetError, match=r"could not download deepforest==2\.1\.0") as caught:
        fetch_real(tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.network
def test_the_fetched_sets_hold_what_the_documentation_says(tmp_path: Path) -> None:
    trees, nuclei = fetch_real(tmp_path)
    counts = {}
    for split in ("train2017", "val2017", "test2017"):
        content = json.loads((trees / f"annotations/instances_{split}.json").read_text())
        counts[split] = len(content["images"])
        assert len(list((trees / split).iterdir())) == len(content["images"])
    assert counts == {"train2017": 324, "val2017": 39, "test2017": 39}
    tiles = {split: len(list(nuclei.glob(f"leftImg8bit/{split}/*/*.png"))) for split in real.NUCLEI_COLUMNS}
    assert tiles == {"train": 377, "val": 16, "test": 16}
    assert "MIT" in (trees / "LICENSE.txt").read_text()
    assert "BSD" in (nuclei / "LICENSE.txt").read_text()
