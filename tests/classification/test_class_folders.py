"""Images by class read the same from folders and from the zip file that they were packed in."""

from __future__ import annotations

import multiprocessing
import zipfile
from pathlib import Path

import pytest
from mmengine.fileio import get

from wrs_mm.classification.class_folders import address, images_by_class, packed
from wrs_mm.errors import DatasetError


def unpacked(folder: Path, root: Path) -> Path:
    """A split of mini-shapes in folders by class."""
    with zipfile.ZipFile(folder / "val.zip") as archive:
        archive.extractall(root / "val")
    return root / "val"


def test_a_zip_file_and_its_folders_hold_the_same_images(few_shapes: Path, tmp_path: Path) -> None:
    folder = unpacked(few_shapes, tmp_path)
    found = images_by_class(few_shapes / "val")
    assert len(found) == 20 and sum(map(len, found.values())) == 20
    assert images_by_class(folder) == found and list(images_by_class(folder)) == list(found)
    for images in found.values():
        for image in images:
            assert get(address(few_shapes / "val", image)) == get(address(folder, image))


def test_a_folder_comes_before_a_zip_file_of_its_name(few_shapes: Path, tmp_path: Path) -> None:
    folder = unpacked(few_shapes, tmp_path)
    (tmp_path / "val.zip").write_bytes(b"no zip file")
    assert packed(folder) is None and len(images_by_class(folder)) == 20


def test_folders_within_classes_are_looked_into_and_other_files_left_out(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/inner/1.JPEG", "a/x.jpg", "a/notes.txt", ".hidden/1.jpg", "loose.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    assert images_by_class(tmp_path) == {"a": ["a/x.jpg"], "b": ["b/2.png", "b/inner/1.JPEG"], "empty": []}


@pytest.mark.parametrize("content", [None, b"no zip file"])
def test_what_cannot_be_read_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "val.zip").write_bytes(content)
    with pytest.raises(DatasetError, match="cannot be read"):
        images_by_class(tmp_path / "val")


def test_a_member_that_is_not_there_is_a_file_that_is_not_there(few_shapes: Path) -> None:
    with pytest.raises(FileNotFoundError):
        get(address(few_shapes / "val", "heart/none.jpg"))


def _read(addresses: list[str]) -> list[bytes]:
    return [get(one) for one in addresses]


def test_processes_that_share_an_open_zip_file_do_not_disturb_each_other(few_shapes: Path) -> None:
    names = [name for images in images_by_class(few_shapes / "train").values() for name in images]
    addresses = [address(few_shapes / "train", name) for name in names]
    expected = _read(addresses)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_read, [addresses] * 8, chunksize=1) == [expected] * 8
