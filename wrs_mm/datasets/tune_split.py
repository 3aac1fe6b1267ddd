"""A part of COCO's and of Cityscapes' train split to tune on.

The test splits of both have no public labels, so that their val splits are what tables report. Whoever
chooses settings needs other images: a fixed part of train. It is the same on every machine, and is
handed to mmdet's and mmseg's own dataset classes as files of theirs: annotation files of COCO, lists of
names for Cityscapes. Recipes do not read them unless :func:`options` are put over them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wrs_mm import files
from wrs_mm.datasets import check_cityscapes, check_coco
from wrs_mm.datasets.images import decode, list_files
from wrs_mm.errors import DatasetError

DATASETS = ("coco", "cityscapes")
"""Those that can be parted."""

COCO_IMAGES = 5000
"""How many images of train2017 are to tune on: as many as val2017 has."""

COCO_FILES = ("annotations/instances_tune2017.json", "annotations/instances_train2017_minus_tune.json")
"""What is written below COCO's root: the images to tune on, and the rest of train2017."""

CITIES = ("weimar", "zurich")
"""The cities of Cityscapes' train split to tune on: 142 and 122 of its 2975 images."""

CITYSCAPES_FILES = ("tune.txt", "train_minus_tune.txt")
"""What is written below Cityscapes' root: the names of the images to tune on, and of the rest of train."""

_CLASSES = 19
_IMAGE, _LABELS = "_leftImg8bit.png", "_gtFine_labelTrainIds.png"


def split(dataset: str, root: Path, any_size: bool = False) -> list[str]:
    """Write the files that part a dataset's train split in two.

    Args:
        dataset: ``coco`` or ``cityscapes``.
        root: What recipes call ``data_root``.
        any_size: Accept a smaller set in the same layout; of COCO's images, the same share.

    Returns:
        Of each file, its path and what it holds.

    Raises:
        DatasetError: The train split is not there, or not complete.
    """
    return _split_coco(root, any_size) if dataset == "coco" else _split_cityscapes(root, any_size)


def options(dataset: str, root: Path) -> dict[str, str]:
    """The values, by config key, that make a recipe validate on the part to tune on and train on the rest.

    Args:
        dataset: ``coco`` or ``cityscapes``.
        root: The recipe's ``data_root``.
    """
    tune, rest = COCO_FILES if dataset == "coco" else CITYSCAPES_FILES
    found = {"train_dataloader.dataset.ann_file": rest, "val_dataloader.dataset.ann_file": tune}
    prefix = "val_dataloader.dataset.data_prefix"
    if dataset == "coco":
        return {**found, f"{prefix}.img": "train2017/", "val_evaluator.ann_file": (root / tune).as_posix()}
    return {**found, f"{prefix}.img_path": "leftImg8bit/train", f"{prefix}.seg_map_path": "gtFine/train"}


def remedy(path: Path) -> str | None:
    """The command that writes a file, if it is one that :func:`split` writes."""
    for dataset, names in (("coco", COCO_FILES), ("cityscapes", CITYSCAPES_FILES)):
        for root in list(path.parents)[:2]:
            images = root / ("train2017" if dataset == "coco" else "leftImg8bit")
            if path in [root / name for name in names] and images.is_dir():
                return f"wrs-mm data split {dataset} {root}"
    return None


def ids_to_tune_on(ids: Iterable[int], count: int = COCO_IMAGES) -> set[int]:
    """Those of some image identifiers whose SHA-256, of the decimal number, is smallest."""
    return set(sorted(ids, key=lambda number: hashlib.sha256(str(number).encode()).digest())[:count])


def _split_coco(root: Path, any_size: bool) -> list[str]:
    path = root / "annotations" / "instances_train2017.json"
    check = f"run `wrs-mm data check coco {root}`"
    try:
        content = json.loads(path.read_bytes())
        ids = [image["id"] for image in content["images"]]
        annotations = content["annotations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read as COCO's annotations; {check}") from error
    whole = check_coco.IMAGES["train2017"]
    count = COCO_IMAGES
    if len(ids) != whole:
        _accept(any_size, path, len(ids), whole, check)
        count = max(1, round(len(ids) * COCO_IMAGES / whole))
    tune = ids_to_tune_on(ids, count)
    _check_parts(path, len(tune), len(ids) - len(tune), check)
    written = []
    for name, belongs in zip(COCO_FILES, (True, False), strict=True):
        part: dict[str, Any] = {
            **content,
            "images": [image for image in content["images"] if (image["id"] in tune) == belongs],
            "annotations": [entry for entry in annotations if (entry["image_id"] in tune) == belongs],
        }
        # In one piece: json.dump to a stream takes several times as long.
        files.write_text(root / name, json.dumps(part))
        what = f"{len(part['images'])} images, {len(part['annotations'])} annotations"
        written.append(f"{root / name}: {what}")
    return written


def _split_cityscapes(root: Path, any_size: bool) -> list[str]:
    folder = root / "leftImg8bit" / "train"
    check = f"run `wrs-mm data check cityscapes {root}`"
    if not folder.is_dir():
        raise DatasetError(f"{folder} does not exist; {check}")
    cities = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    stems = {
        city: [
            f"{city}/{name.removesuffix(_IMAGE)}" for name in sorted(list_files(folder / city, _IMAGE).names)
        ]
        for city in cities
    }
    total, whole = sum(map(len, stems.values())), check_cityscapes.IMAGES["train"]
    if total != whole:
        _accept(any_size, folder, total, whole, check)
    absent = [city for city in CITIES if not stems.get(city)]
    if absent:
        raise DatasetError(f"{folder} has no images of {' and '.join(absent)}, which are to tune on; {check}")
    tune = [stem for city in CITIES for stem in stems[city]]
    rest = [stem for city in cities if city not in CITIES for stem in stems[city]]
    _check_parts(folder, len(tune), len(rest), check)
    for name, part in zip(CITYSCAPES_FILES, (tune, rest), strict=True):
        files.write_text(root / name, "".join(f"{stem}\n" for stem in part))
    seen = _classes(root, tune)
    return [
        f"{root / CITYSCAPES_FILES[0]}: {len(tune)} images, {seen} of {_CLASSES} classes occur in them",
        f"{root / CITYSCAPES_FILES[1]}: {len(rest)} images",
    ]


def _accept(any_size: bool, part: Path, found: int, whole: int, check: str) -> None:
    """Refuse a set of another size than the published one, unless that is on purpose."""
    if not any_size:
        raise DatasetError(
            f"{part} has {found} images, not {whole}; {check}, or add --any-size if that is on purpose"
        )


def _check_parts(part: Path, tune: int, rest: int, check: str) -> None:
    """Refuse a set that is too small to be parted."""
    if not (tune and rest):
        raise DatasetError(f"{part} would be parted into {tune} images to tune on and {rest} others; {check}")


def _classes(root: Path, stems: Sequence[str]) -> int:
    """How many classes occur in the label maps of some images; it stops looking when it has seen all.

    Raises:
        DatasetError: A label map cannot be read.
    """
    seen: set[int] = set()
    for stem in stems:
        path = root / "gtFine" / "train" / f"{stem}{_LABELS}"
        try:
            seen |= {*np.unique(decode(path)).tolist()} & {*range(_CLASSES)}
        except OSError as error:
            raise DatasetError(f"{path} cannot be read; run `wrs-mm data check cityscapes {root}`") from error
        if len(seen) == _CLASSES:
            break
    return len(seen)
