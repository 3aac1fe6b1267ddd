"""Is Cityscapes complete on this disk, and laid out as the recipes expect?

The recipes read ``leftImg8bit/{train,val}/<city>/*_leftImg8bit.png`` and, for each of these,
``gtFine/{train,val}/<city>/*_gtFine_labelTrainIds.png``. The latter are not in the download:
cityscapesscripts makes them from the polygons.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from wrs_mm.datasets.finding import Finding
from wrs_mm.datasets.images import decode, list_files, sample, some
from wrs_mm.datasets.mini_segmentation import label_ids
from wrs_mm.datasets.unpacking import doubled_folder, missing_folder, quoted

FOLDERS = ("leftImg8bit", "gtFine")
"""What belongs into the root."""

IMAGES = {"train": 2975, "val": 500, "test": 1525}
"""How many finely annotated images Cityscapes has (README of cityscapesscripts 2.3.0)."""

_OPTIONAL = ("test",)
"""Splits that no recipe reads."""

SIZE = (1024, 2048)
"""Height and width of every image."""

_ARCHIVES = {"leftImg8bit": "leftImg8bit_trainvaltest.zip", "gtFine": "gtFine_trainvaltest.zip"}
_CLASSES = 19
_IGNORE = 255
_IMAGE = "_leftImg8bit.png"
_TRAIN_IDS = "_gtFine_labelTrainIds.png"
_LABEL_IDS = "_gtFine_labelIds.png"
_POLYGONS = "_gtFine_polygons.json"


def check_cityscapes(
    root: Path, progress: Progress, any_size: bool = False, count: int = 100, seed: int = 0
) -> Iterator[Finding]:
    """Look at Cityscapes part by part.

    Args:
        root: The folder that holds ``leftImg8bit/`` and ``gtFine/``; it exists.
        progress: Shows what takes its time.
        any_size: Accept a smaller set, of images of any size, in the same layout.
        count: How many images of each split to decode.
        seed: Which ones.
    """
    absent = [kind for kind in _ARCHIVES if not (root / kind).is_dir()]
    for kind in absent:
        yield missing_folder(root, kind, FOLDERS, _ARCHIVES[kind], _download(kind, root))
    doubled = [doubled_folder(root / kind) for kind in _ARCHIVES]
    yield from (finding for finding in doubled if finding)
    if any(doubled):
        return
    for split, wanted in IMAGES.items():
        if split in _OPTIONAL and not (root / "leftImg8bit" / split).is_dir():
            yield Finding(f"leftImg8bit/{split}/", "not there, which is fine: no recipe reads it")
            continue
        yield from _split(root, split, None if any_size else wanted, progress, count, seed)


def _split(
    root: Path, split: str, wanted: int | None, progress: Progress, count: int, seed: int
) -> Iterator[Finding]:
    """Look at the images and label maps of one split, as far as their folders are there."""
    images: set[str] | None = None
    labels: dict[str, set[str]] | None = None
    empty: list[str] = []
    if (root / "leftImg8bit").is_dir():
        found, empty = _stems(root / "leftImg8bit" / split, (_IMAGE,), progress)
        images = found[_IMAGE]
    if (root / "gtFine").is_dir() and split not in _OPTIONAL:
        labels, more = _stems(root / "gtFine" / split, (_TRAIN_IDS, _LABEL_IDS, _POLYGONS), progress)
        empty += more
    if images is not None:
        annotated = set().union(*labels.values()) if labels else set()
        yield _image_names(root, split, images, annotated, wanted)
    if labels is not None:
        yield _label_names(root, split, images, labels, wanted)
    if empty:
        again = " and ".join(_again(root, kind) for kind in _ARCHIVES)
        yield Finding(f"*/{split}/", f"{len(empty)} empty files ({some(sorted(empty))})", again)
    if images:
        maps = labels[_TRAIN_IDS] if labels else set()
        looked = sample(images, count, seed)
        yield _image_sample(root, split, looked, len(images), wanted is not None, progress)
        if images & maps:
            yield _label_sample(root, split, sample(images & maps, count, seed), len(images & maps), progress)


def _stems(
    folder: Path, suffixes: tuple[str, ...], progress: Progress
) -> tuple[dict[str, set[str]], list[str]]:
    """List a split's cities.

    Returns:
        For each suffix, the files that end with it, as ``city/stem`` without the suffix; and the
        names of the empty files.
    """
    stems: dict[str, set[str]] = {suffix: set() for suffix in suffixes}
    empty: list[str] = []
    cities = sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    task = progress.add_task(f"listing {folder.parent.name}/{folder.name}/", total=len(cities))
    for city in cities:
        for suffix in suffixes:
            files = list_files(city, suffix)
            stems[suffix] |= {f"{city.name}/{name.removesuffix(suffix)}" for name in files.names}
            empty += files.empty
        progress.advance(task)
    progress.remove_task(task)
    return stems, empty


def _image_names(
    root: Path, split: str, images: set[str], annotated: set[str], wanted: int | None
) -> Finding:
    part = f"leftImg8bit/{split}/"
    again = _again(root, "leftImg8bit")
    if not images:
        return Finding(part, "no images", again)
    lacking = sorted(annotated - images)
    if lacking:
        found = f"{len(images)} images, none for {len(lacking)} label maps ({some(lacking)})"
        return Finding(part, found, f"it was copied or unpacked in part; {again}")
    if wanted is not None and len(images) < wanted:
        remedy = f"it was copied or unpacked in part; {again}; if that is on purpose, add --any-size"
        return Finding(part, f"{len(images)} of {wanted} images", remedy)
    if wanted is not None and len(images) > wanted:
        remedy = f"Cityscapes has {wanted}; if the set is another one on purpose, add --any-size"
        return Finding(part, f"{len(images)} images", remedy)
    return Finding(part, f"{len(images)} images")


def _label_names(
    root: Path, split: str, images: set[str] | None, labels: dict[str, set[str]], wanted: int | None
) -> Finding:
    """Does every image have its map of training identifiers; if not, what can it be made from?"""
    part = f"gtFine/{split}/"
    maps, polygons = labels[_TRAIN_IDS], labels[_POLYGONS]
    again = _again(root, "gtFine")
    if not any(labels.values()):
        return Finding(part, "no label maps", again)
    expected = images or maps | labels[_LABEL_IDS] | polygons
    lacking = sorted(expected - maps)
    if lacking:
        have = "labelIds" if labels[_LABEL_IDS] >= {*lacking} else "no other label maps"
        found = f"{len(lacking)} of {len(expected)} images have no labelTrainIds map ({have} instead)"
        unpack = "" if polygons >= {*lacking} else f"the polygons are missing too: {again}; then "
        return Finding(part, found, unpack + _make_train_ids(root))
    if images is None and wanted is not None and len(maps) != wanted:
        return Finding(part, f"{len(maps)} of {wanted} label maps", f"it was copied in part; {again}")
    return Finding(part, f"{len(maps)} maps of training identifiers")


def _image_sample(
    root: Path, split: str, stems: list[str], total: int, exact_size: bool, progress: Progress
) -> Finding:
    """Decode some images."""
    part = f"leftImg8bit/{split}/: sample"
    broken, other_size = [], []
    task = progress.add_task(f"decoding a sample of leftImg8bit/{split}/", total=len(stems))
    for stem in stems:
        try:
            pixels = decode(root / "leftImg8bit" / split / f"{stem}{_IMAGE}")
        except OSError:
            broken.append(stem)
        else:
            if exact_size and pixels.shape[:2] != SIZE:
                other_size.append(stem)
        progress.advance(task)
    progress.remove_task(task)
    looked = f"of {len(stems)} images looked at (of {total})"
    if broken:
        remedy = f"{_again(root, 'leftImg8bit')}; then look at all: --sample {total}"
        return Finding(part, f"{len(broken)} {looked} do not decode: {some(broken)}", remedy)
    if other_size:
        remedy = f"Cityscapes' are {SIZE[1]}×{SIZE[0]}; {_again(root, 'leftImg8bit')}, or add --any-size"
        return Finding(part, f"{len(other_size)} {looked} have another size: {some(other_size)}", remedy)
    return Finding(part, f"all {looked} decode")


def _label_sample(root: Path, split: str, stems: list[str], total: int, progress: Progress) -> Finding:
    """Decode some label maps; look at their values and sizes and compare them with labelIds."""
    part = f"gtFine/{split}/: sample"
    bad: dict[str, list[str]] = {}
    task = progress.add_task(f"decoding a sample of gtFine/{split}/", total=len(stems))
    for stem in stems:
        mistake = _mistake_of_map(root, split, stem)
        if mistake:
            bad.setdefault(mistake, []).append(stem)
        progress.advance(task)
    progress.remove_task(task)
    looked = f"of {len(stems)} label maps looked at (of {total})"
    if not bad:
        return Finding(part, f"all {looked} hold training identifiers")
    found = "; ".join(f"{len(names)} {looked} {what}: {some(names)}" for what, names in bad.items())
    return Finding(part, found, _make_train_ids(root))


def _mistake_of_map(root: Path, split: str, stem: str) -> str:
    """What is wrong with a map of training identifiers; empty if nothing is."""
    try:
        train_ids = decode(root / "gtFine" / split / f"{stem}{_TRAIN_IDS}")
        image = decode(root / "leftImg8bit" / split / f"{stem}{_IMAGE}")
    except OSError:
        return "do not decode"
    if train_ids.shape != image.shape[:2]:
        return "have another size than the image"
    if ((train_ids >= _CLASSES) & (train_ids != _IGNORE)).any():
        return "hold labelIds in place of labelTrainIds"
    try:
        identifiers = decode(root / "gtFine" / split / f"{stem}{_LABEL_IDS}")
    except OSError:
        return ""
    if identifiers.shape == train_ids.shape and not np.array_equal(_to_train_ids(identifiers), train_ids):
        return "do not agree with labelIds"
    return ""


def _to_train_ids(identifiers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Translate Cityscapes' label identifiers to training identifiers."""
    table = np.full(256, _IGNORE, np.uint8)
    known = np.arange(_CLASSES, dtype=np.uint8)
    table[label_ids(known)] = known
    return table[identifiers]


def _make_train_ids(root: Path) -> str:
    """The command that makes the maps of training identifiers."""
    return (
        "make them: pip install cityscapesscripts, then "
        f"CITYSCAPES_DATASET={quoted(root.resolve())} csCreateTrainIdLabelImgs"
    )


def _again(root: Path, kind: str) -> str:
    return f"unpack it again: unzip -o -q {_ARCHIVES[kind]} -d {quoted(root)}"


def _download(kind: str, root: Path) -> str:
    archive = _ARCHIVES[kind]
    return f"pip install cityscapesscripts, csDownload {archive}, then unzip -q {archive} -d {quoted(root)}"
