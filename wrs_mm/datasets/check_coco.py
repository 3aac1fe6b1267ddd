"""Is COCO 2017 complete on this disk, and laid out as the recipes expect?

The recipes read ``annotations/instances_{train,val}2017.json``, ``train2017/`` and ``val2017/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import Progress

from wrs_mm.datasets.finding import Finding
from wrs_mm.datasets.images import Files, decode, list_files, sample, some
from wrs_mm.datasets.unpacking import doubled_folder, missing_folder, quoted

FOLDERS = ("annotations", "train2017", "val2017")
"""What belongs into the root."""

IMAGES = {"train2017": 118287, "val2017": 5000}
"""How many images COCO 2017 has."""

ANNOTATED = {"train2017": 117266}
"""How many of them have at least one object, where that matters: a recipe trains on these alone."""

_URL = "http://images.cocodataset.org"
_DOWNLOAD = "wget {url}, then unzip -q {name} -d {root}"


def categories() -> dict[int, str]:
    """COCO's 80 categories by their identifiers, which leave out ten numbers between 1 and 90.

    Taken from the meta data of torchvision's COCO detectors.
    """
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    names = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    return {index: name for index, name in enumerate(names) if name not in ("__background__", "N/A")}


_Sizes = dict[str, tuple[int, int]]
"""Width and height of each image that an annotation file lists, by file name."""


def check_coco(
    root: Path, progress: Progress, any_size: bool = False, count: int = 100, seed: int = 0
) -> Iterator[Finding]:
    """Look at COCO 2017 part by part.

    Args:
        root: The folder that holds ``annotations/``, ``train2017/`` and ``val2017/``; it exists.
        progress: Shows what takes its time.
        any_size: Accept a smaller set in the same layout.
        count: How many images of each split to decode.
        seed: Which ones.
    """
    for split in IMAGES:
        findings, sizes = _annotations(root, split, progress, any_size)
        yield from findings
        yield from _images(root, split, sizes, progress, any_size, count, seed)


def _annotations(
    root: Path, split: str, progress: Progress, any_size: bool
) -> tuple[list[Finding], _Sizes | None]:
    """Look at the annotation file of a split; the sizes are None if it cannot be used."""
    part = f"annotations/instances_{split}.json"
    path = root / part
    if not path.is_file():
        return [_missing_annotations(root, split)], None
    again = f"unpack it again: unzip -o annotations_trainval2017.zip {part} -d {quoted(root)}"
    if path.stat().st_size == 0:
        return [Finding(part, "empty", again)], None
    task = progress.add_task(f"reading {part}", total=None)
    progress.refresh()
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        return [Finding(part, f"truncated or damaged: {error}", again)], None
    finally:
        progress.remove_task(task)
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in lists):
        found = f"not a file of object instances: it lacks one of the lists {', '.join(lists)}"
        return [Finding(part, found, again)], None
    try:
        findings = [_count(content, part, split, any_size, again), _categories(content, part, again)]
        sizes = {image["file_name"]: (image["width"], image["height"]) for image in content["images"]}
    except (KeyError, TypeError) as error:
        return [Finding(part, f"not a file of object instances: an entry lacks {error}", again)], None
    return findings, sizes


def _missing_annotations(root: Path, split: str) -> Finding:
    """Where an annotation file is instead, or how to get it."""
    name = f"instances_{split}.json"
    part = f"annotations/{name}"
    folder = root / "annotations"
    if (root / name).is_file():
        remedy = f"move it: mkdir -p {quoted(folder)} && mv {quoted(root / name)} {quoted(folder)}/"
        return Finding(part, f"missing, but there is {root / name}", remedy)
    if not folder.is_dir():
        return missing_folder(
            root,
            "annotations",
            FOLDERS,
            "annotations_trainval2017.zip",
            _download(root, "annotations/annotations_trainval2017.zip"),
        )
    doubled = doubled_folder(folder)
    if doubled:
        return doubled
    get = f"get the one of 2017: {_download(root, 'annotations/annotations_trainval2017.zip')}"
    found = {entry.name for entry in folder.glob(f"instances_{split[:-4]}*.json")}
    others = sorted(other for other in found if not other.startswith(f"instances_{split}"))
    if others:
        return Finding(part, f"missing, but there is {some(others)}: another year's", get)
    others = sorted(entry.name for entry in folder.glob(f"*_{split}.json"))
    if others:
        return Finding(part, f"missing, but there is {some(others)}: not the object instances", get)
    return Finding(part, "missing", get)


def _count(content: dict[str, Any], part: str, split: str, any_size: bool, again: str) -> Finding:
    images, annotations = content["images"], content["annotations"]
    annotated = len({annotation["image_id"] for annotation in annotations if "bbox" in annotation})
    found = f"{len(images)} images, {annotated} of them with objects, {len(annotations)} annotations"
    wanted, wanted_annotated = IMAGES[split], ANNOTATED.get(split)
    if any_size:
        return Finding(part, found, "" if annotated else "no recipe can train on it: it needs boxes")
    if len(images) != wanted or wanted_annotated not in (None, annotated):
        expected = f"{wanted} images" + (f", {wanted_annotated} with objects" if wanted_annotated else "")
        remedy = f"COCO 2017 has {expected}; {again}; if the set is smaller on purpose, add --any-size"
        return Finding(part, found, remedy)
    return Finding(part, found)


def _categories(content: dict[str, Any], part: str, again: str) -> Finding:
    part = f"{part}: categories"
    found = {category["id"]: category["name"] for category in content["categories"]}
    wanted = categories()
    if found == wanted:
        return Finding(part, f"COCO's {len(wanted)}")
    odd = sorted(str(name) for name in {*found.values()} ^ {*wanted.values()})
    what = f"other names ({some(odd)})" if odd else "other identifiers"
    remedy = f"the recipes take COCO's own {len(wanted)} classes; {again}"
    return Finding(part, f"{len(found)} with {what} than COCO's", remedy)


def _images(
    root: Path, split: str, sizes: _Sizes | None, progress: Progress, any_size: bool, count: int, seed: int
) -> Iterator[Finding]:
    """Look at the images of a split; without an annotation file, at their number alone."""
    folder = root / split
    if not folder.is_dir():
        yield _missing_images(root, split)
        return
    task = progress.add_task(f"listing {split}/", total=None)
    files = list_files(folder, ".jpg" if sizes is None else "")
    progress.remove_task(task)
    listed = files.names if sizes is None else set(sizes)
    wanted = IMAGES[split] if sizes is None and not any_size else len(listed)
    yield _image_names(root, split, files, listed, wanted)
    present = (files.names & listed) - {*files.empty}
    if present:
        yield _image_sample(folder, sample(present, count, seed), len(present), sizes or {}, progress)


def _missing_images(root: Path, split: str) -> Finding:
    found = missing_folder(root, split, FOLDERS, f"{split}.zip", _download(root, f"zips/{split}.zip"))
    other = f"{split[:-4]}2014"
    if found.found == "missing" and (root / other).is_dir():
        remedy = f"the recipes take COCO 2017: {_download(root, f'zips/{split}.zip')}"
        return Finding(found.part, f"missing, but there is {other}/: another year's", remedy)
    return found


def _image_names(root: Path, split: str, files: Files, listed: set[str], wanted: int) -> Finding:
    """Compare the names in the folder with those in the annotation file."""
    part = f"{split}/"
    present = files.names & listed
    if not present:
        doubled = doubled_folder(root / split)
        if doubled:
            return doubled
    again = f"unpack it again: unzip -o -q {split}.zip -d {quoted(root)}"
    if not files.names:
        return Finding(part, "no images", f"unpack it: unzip -q {split}.zip -d {quoted(root)}")
    if not present:
        first = min(files.names)
        year = ": another year's" if "2014" in first else ""
        remedy = f"replace it by COCO 2017's: {_download(root, f'zips/{split}.zip')}"
        return Finding(part, f"{len(files.names)} images of other names ({first}){year}", remedy)
    if len(present) < wanted:
        lacking = sorted(listed - files.names)
        example = f" (without {some(lacking)})" if lacking else ""
        remedy = f"it was copied or unpacked in part; {again}"
        return Finding(part, f"{len(present)} of {wanted} images{example}", remedy)
    empty = [name for name in files.empty if name in listed]
    if empty:
        return Finding(part, f"{len(empty)} empty files ({some(empty)})", again)
    if len(present) > wanted:
        remedy = f"COCO 2017 has {wanted}; if the set is another one on purpose, add --any-size"
        return Finding(part, f"{len(present)} images", remedy)
    extra = len(files.names - listed)
    return Finding(part, f"{len(present)} images" + (f", {extra} more that no recipe reads" if extra else ""))


def _image_sample(folder: Path, names: list[str], total: int, sizes: _Sizes, progress: Progress) -> Finding:
    """Decode some images and compare their sizes with the annotation file's."""
    part = f"{folder.name}/: sample"
    broken, other_size = [], []
    task = progress.add_task(f"decoding a sample of {folder.name}/", total=len(names))
    for name in names:
        try:
            height, width = decode(folder / name).shape[:2]
        except OSError:
            broken.append(name)
        else:
            if name in sizes and sizes[name] != (width, height):
                other_size.append(name)
        progress.advance(task)
    progress.remove_task(task)
    looked = f"of {len(names)} images looked at (of {total})"
    if broken:
        remedy = (
            f"unpack it again: unzip -o -q {folder.name}.zip -d {quoted(folder.parent)}; "
            f"then look at all: --sample {total}"
        )
        return Finding(part, f"{len(broken)} {looked} do not decode: {some(broken)}", remedy)
    if other_size:
        remedy = "images and annotations do not belong together: get both from the same place again"
        return Finding(
            part, f"{len(other_size)} {looked} have another size than annotated: {some(other_size)}", remedy
        )
    return Finding(part, f"all {looked} decode, in the annotated size" if sizes else f"all {looked} decode")


def _download(root: Path, path: str) -> str:
    return _DOWNLOAD.format(url=f"{_URL}/{path}", name=Path(path).name, root=quoted(root))
