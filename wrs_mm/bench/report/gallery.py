"""A few validation images with their ground truth and what two arms predicted, side by side.

Nobody chose the images, see :func:`wrs_mm.bench.runs.predictions.gallery`.
"""

from __future__ import annotations

import base64
import colorsys
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.predictions import COUNTS, FOLDER, detections_file, gallery

LONGER_SIDE = 448
"""Pixels."""

MIN_SCORE = 0.3
"""Detections below it are not drawn; mmdet's own demos do the same."""

_IGNORED = 255

Color = tuple[int, int, int]


class Panel(NamedTuple):
    """One picture: what it is, and a data URI."""

    label: str
    source: str


class Item(NamedTuple):
    """One validation image.

    Attributes:
        name: The image's.
        panels: Ground truth, then one an arm.
    """

    name: str
    panels: list[Panel]


class Gallery(NamedTuple):
    """The images of one recipe.

    Attributes:
        title: What is compared.
        items: The images.
        legend: Class names with their colors, as CSS has them.
    """

    title: str
    items: list[Item]
    legend: list[tuple[str, str]]


def make_gallery(title: str, runs: Sequence[tuple[str, Run]]) -> Gallery | None:
    """Draw the images of one recipe.

    Args:
        title: What is compared.
        runs: Arms' labels and runs, in the order of the panels.

    Returns:
        None if predictions or images are not there.
    """
    folders = [(label, run.folder / FOLDER) for label, run in runs]
    if all((folder / COUNTS).is_file() for _, folder in folders):
        return _segmentation(title, folders)
    if all(detections_file(folder, "bbox").is_file() for _, folder in folders):
        return _detection(title, runs)
    return None


def class_colors(count: int) -> list[Color]:
    """Colors for classes that have none: around the hue circle, neighbours far apart."""
    listed = []
    for index in range(count):
        red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1, 0.75, 0.95)
        listed.append((int(255 * red), int(255 * green), int(255 * blue)))
    return listed


def _segmentation(title: str, folders: Sequence[tuple[str, Path]]) -> Gallery | None:
    items = []
    first = folders[0][1]
    with np.load(first / COUNTS) as content:
        names = [str(name) for name in content["gallery_ids"]]
        paths = [Path(str(path)) for path in content["gallery_paths"]]
        classes = [str(name) for name in content["classes"]]
        palette = [(int(r), int(g), int(b)) for r, g, b in content["palette"]] or class_colors(len(classes))
    for number, (name, path) in enumerate(zip(names, paths, strict=True)):
        maps = [("ground truth", first / f"{number}.true.png")]
        maps += [(label, folder / f"{number}.png") for label, folder in folders]
        if not path.is_file() or not all(file.is_file() for _, file in maps):
            continue
        image = Image.open(path).convert("RGB")
        items.append(
            Item(
                name,
                [
                    Panel(label, _encoded(_scaled(_painted(image, np.array(Image.open(file)), palette))))
                    for label, file in maps
                ],
            )
        )
    return Gallery(title, items, _legend(classes, palette)) if items else None


def _painted(image: Image.Image, labels: np.ndarray, palette: Sequence[Color]) -> Image.Image:
    """The image under its label map; pixels without a label stay as they are."""
    table = np.zeros((256, 3), np.float32)
    table[: len(palette)] = palette
    pixels = np.asarray(image.resize(labels.shape[::-1]), np.float32)
    mixed = 0.35 * pixels + 0.65 * table[labels]
    mixed[labels == _IGNORED] = pixels[labels == _IGNORED]
    return Image.fromarray(mixed.round().astype(np.uint8))


def _detection(title: str, runs: Sequence[tuple[str, Run]]) -> Gallery | None:
    from mmengine.config import Config

    from wrs_mm.bench.statistics.over_images import annotations_file

    truth_file = annotations_file(runs[0][1])
    if truth_file is None or not truth_file.is_file():
        return None
    dataset = Config.fromfile(runs[0][1].config).val_dataloader.dataset
    root = Path(dataset.get("data_root") or "") / (dataset.get("data_prefix") or {}).get("img", "")
    truth = json.loads(truth_file.read_text())
    classes = {category["id"]: category["name"] for category in truth["categories"]}
    palette = dict(zip(classes, class_colors(len(classes)), strict=True))
    with_objects = {annotation["image_id"] for annotation in truth["annotations"]}
    by_name = {entry["file_name"]: entry for entry in truth["images"] if entry["id"] in with_objects}
    chosen = {by_name[name]["id"]: name for name in gallery(by_name)}

    found = [("ground truth", [a for a in truth["annotations"] if a["image_id"] in chosen])]
    for label, run in runs:
        listed = []
        for kind in ("segm", "bbox"):
            file = detections_file(run.folder / FOLDER, kind)
            if file.is_file():
                listed += [d for d in json.loads(file.read_text()) if d["image_id"] in chosen]
        found.append((label, [d for d in listed if d["score"] >= MIN_SCORE]))
    items = []
    for image_id, name in chosen.items():
        if not (root / name).is_file():
            continue
        image = Image.open(root / name).convert("RGB")
        panels = []
        for label, objects in found:
            own = [one for one in objects if one["image_id"] == image_id]
            panels.append(Panel(label, _encoded(_drawn(image, own, classes, palette))))
        items.append(Item(name, panels))
    legend = _legend(list(classes.values()), list(palette.values()))
    return Gallery(title, items, legend) if items else None


def _drawn(
    image: Image.Image, objects: Iterable[dict[str, Any]], classes: dict[int, str], palette: dict[int, Color]
) -> Image.Image:
    """The image with boxes, masks where there are any, and scores; the surest on top."""
    scaled = _scaled(image)
    factor = scaled.width / image.width
    listed = sorted(objects, key=lambda one: one.get("score", 1.0))
    for one in listed:
        mask = _mask(one, image.height, image.width)
        if mask is not None:
            cover = Image.fromarray(mask * np.uint8(115)).resize(scaled.size)
            scaled.paste(Image.new("RGB", scaled.size, palette[one["category_id"]]), mask=cover)
    draw = ImageDraw.Draw(scaled)
    font = ImageFont.load_default(size=12)
    for one in listed:
        if "bbox" not in one:
            continue
        color = palette[one["category_id"]]
        x, y, width, height = (factor * float(value) for value in one["bbox"])
        draw.rectangle((x, y, x + width, y + height), outline=color, width=2)
        words = classes[one["category_id"]]
        if "score" in one:
            words += f" {one['score']:.2f}"
        left, top, right, bottom = draw.textbbox((x + 3, y + 1), words, font=font)
        draw.rectangle((left - 3, top - 1, right + 3, bottom + 2), fill=color)
        draw.text((x + 3, y + 1), words, fill="black", font=font)
    return scaled


def _mask(one: dict[str, Any], height: int, width: int) -> np.ndarray | None:
    """The mask of an object, polygons or run lengths, ``(height, width)``; None without one."""
    from pycocotools import mask

    shape = one.get("segmentation")
    if not shape:
        return None
    if isinstance(shape, list):
        shape = mask.merge(mask.frPyObjects(shape, height, width))
    elif isinstance(shape["counts"], list):
        shape = mask.frPyObjects(shape, height, width)
    decoded: np.ndarray = mask.decode(shape)
    return decoded


def _scaled(image: Image.Image) -> Image.Image:
    factor = LONGER_SIDE / max(image.size)
    size = (max(1, round(factor * image.width)), max(1, round(factor * image.height)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _legend(classes: Sequence[str], palette: Sequence[Color]) -> list[tuple[str, str]]:
    return [
        (name, f"rgb({red},{green},{blue})")
        for name, (red, green, blue) in zip(classes, palette, strict=False)
    ]
