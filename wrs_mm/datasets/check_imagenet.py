"""Is ImageNet complete on this disk, in folders by class, as the recipes expect? Or any such images?

The recipes read ``train/<class>/*`` and ``val/<class>/*``, or ``train.zip`` and ``val.zip`` that hold such
folders. ImageNet does not come so: its train images are in a tar file a class within a tar file, its val
images in no folders at all.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.fileio import get
from PIL import Image
from rich.progress import Progress

from wrs_mm.classification.class_folders import EXTENSIONS, address, images_by_class, packed
from wrs_mm.datasets.finding import Finding
from wrs_mm.datasets.images import sample, some
from wrs_mm.datasets.unpacking import quoted

FOLDERS = ("train", "val")
"""What belongs into the root."""

IMAGES = {"train": 1_281_167, "val": 50_000}
"""How many images ImageNet has (ILSVRC 2012, https://image-net.org/challenges/LSVRC/2012)."""

CLASSES = 1000
"""How many folders of classes each split of it has."""

_ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}
_KAGGLE = "ILSVRC/Data/CLS-LOC"
"""Where the download from Kaggle has the splits; its val has no folders either."""
_SORT = "https://raw.githubusercontent.com/soumith/imagenetloader.torch/master/valprep.sh"


def check_imagenet(
    root: Path, progress: Progress, any_size: bool = False, count: int = 100, seed: int = 0
) -> Iterator[Finding]:
    """Look at images by class, split by split.

    Args:
        root: The folder that holds ``train/`` and ``val/``; it exists.
        progress: Shows what takes its time.
        any_size: Accept any classes and any number of images.
        count: How many images of each split to decode.
        seed: Which ones.
    """
    classes: dict[str, set[str]] = {}
    for split in FOLDERS:
        folder = root / split
        wrong = _misplaced(root, split)
        if wrong is not None:
            yield wrong
            continue
        task = progress.add_task(f"listing {split}/", total=None)
        found = images_by_class(folder)
        progress.remove_task(task)
        classes[split] = set(found)
        yield _count(root, split, found, any_size)
        images = [image for names in found.values() for image in names]
        if images:
            yield _sample(folder, split, sample(images, count, seed), len(images), progress)
    if len(classes) == len(FOLDERS):
        yield from _same_classes(root, classes)


def _misplaced(root: Path, split: str) -> Finding | None:
    """Where a split is instead of in folders by class; None where it is in those."""
    folder = root / split
    part = f"{split}/"
    if packed(folder) is not None:
        return None
    if not folder.is_dir():
        if (root / _KAGGLE / split).is_dir():
            return Finding(
                part, f"missing, but there is {_KAGGLE}/{split}/", f"give {quoted(root / _KAGGLE)}"
            )
        archive = next(
            (p for p in (root / _ARCHIVES[split], root.parent / _ARCHIVES[split]) if p.is_file()), None
        )
        if archive is not None:
            return Finding(part, f"missing, but there is {archive}", _unpack(archive, folder))
        return Finding(part, "missing", f"get {_ARCHIVES[split]}: https://image-net.org/download-images")
    with os.scandir(folder) as entries:
        names, folders = [], 0
        for entry in entries:
            folders += entry.is_dir()
            if not entry.is_dir():
                names.append(entry.name)
    tars = sorted(name for name in names if name.endswith(".tar"))
    if tars:
        found = f"{len(tars)} tar files that are not unpacked ({some(tars)})"
        return Finding(part, found, f"unpack them: {_unpack_classes(folder)}")
    images = sorted(name for name in names if name.lower().endswith(EXTENSIONS))
    if images and not folders:
        found = f"{len(images)} images ({some(images)}) and no folders of classes"
        return Finding(part, found, f"sort them: (cd {quoted(folder)} && wget -qO- {_SORT} | bash)")
    if not folders:
        return Finding(part, "empty", f"get {_ARCHIVES[split]}: https://image-net.org/download-images")
    return None


def _unpack(archive: Path, folder: Path) -> str:
    unpack = f"unpack it: mkdir -p {quoted(folder)} && tar -xf {quoted(archive)} -C {quoted(folder)}"
    if "train" in archive.name:
        return f"{unpack} && {_unpack_classes(folder)}"
    return f"{unpack}; then run this check again"


def _unpack_classes(folder: Path) -> str:
    return (
        f'(cd {quoted(folder)} && for f in *.tar; do mkdir -p "${{f%.tar}}" && '
        'tar -xf "$f" -C "${f%.tar}" && rm "$f"; done)'
    )


def _count(root: Path, split: str, found: dict[str, list[str]], any_size: bool) -> Finding:
    """Is every class there, with images in it, and are they as many as ImageNet has?"""
    part = f"{split}/"
    images = sum(map(len, found.values()))
    said = f"{images} images of {len(found)} classes"
    empty = [kind for kind, names in found.items() if not names]
    if empty:
        remedy = f"remove the folders, or unpack {_ARCHIVES[split]} again"
        return Finding(part, f"{said}; {len(empty)} folders hold no image ({some(empty)})", remedy)
    if not images:
        return Finding(part, said, f"put a folder of images for each class into {quoted(root / split)}")
    if not any_size and (images, len(found)) != (IMAGES[split], CLASSES):
        remedy = (
            f"ImageNet has {IMAGES[split]} of {CLASSES}; unpack {_ARCHIVES[split]} again, or, if these are "
            "other images on purpose, add --any-size"
        )
        return Finding(part, said, remedy)
    return Finding(part, said)


def _sample(folder: Path, split: str, names: list[str], total: int, progress: Progress) -> Finding:
    """Decode some images."""
    broken = []
    task = progress.add_task(f"decoding a sample of {split}/", total=len(names))
    for name in names:
        try:
            with Image.open(io.BytesIO(get(address(folder, name)))) as image:
                image.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            broken.append(name)
        progress.advance(task)
    progress.remove_task(task)
    part, looked = f"{split}/: sample", f"of {len(names)} images looked at (of {total})"
    if broken:
        remedy = f"unpack {_ARCHIVES[split]} again, or remove them; then look at all: --sample {total}"
        return Finding(part, f"{len(broken)} {looked} do not decode: {some(broken)}", remedy)
    return Finding(part, f"all {looked} decode")


def _same_classes(root: Path, classes: dict[str, set[str]]) -> Iterator[Finding]:
    """A class's label is its place among the folders: with other folders, val's would be others."""
    train, val = (classes[split] for split in FOLDERS)
    if train == val:
        yield Finding("train/ and val/", "the same classes")
        return
    odd = sorted(train ^ val)
    found = f"{len(odd)} classes are in one and not in the other ({some(odd)})"
    yield Finding(
        "train/ and val/",
        found,
        f"labels are places in the order of names: give both of {root} the same folders",
    )
