"""A few images of the split that tables report: ground truth and what two arms predicted, side by side.

Nobody chose the images, see :func:`wrs_mm.bench.runs.predictions.gallery`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from wrs_mm.bench.plan.spec import Split
from wrs_mm.bench.plan.splits import CONFIG_PREFIX
from wrs_mm.bench.report.drawing import Color, class_colors, drawn, encoded, painted, scaled
from wrs_mm.bench.runs.predictions import COUNTS, KINDS, detections_file, gallery
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.evaluations import annotations_file

_MIN_SCORE = 0.3
"""Detections below it are not drawn; mmdet's own demos do the same."""


class Panel(NamedTuple):
    """One picture: what it is, and a data URI."""

    label: str
    source: str


class Item(NamedTuple):
    """One image.

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
        items: The images; none where this machine does not have them.
        legend: Class names with their colors, as CSS has them.
    """

    title: str
    items: list[Item]
    legend: list[tuple[str, str]]


def make_gallery(title: str, runs: Sequence[RunData]) -> Gallery | None:
    """Draw the images of one recipe.

    Args:
        title: What is compared.
        runs: One of each arm, with their details, in the order of the panels.

    Returns:
        None if predictions are not there.
    """
    folders = [(run.spec.arm_label, run.predictions) for run in runs]
    if all((folder / COUNTS).is_file() for _, folder in folders):
        return _segmentation(title, folders)
    if all(detections_file(folder, "bbox").is_file() for _, folder in folders):
        return _detection(title, folders, runs[0].config or {}, runs[0].spec.split)
    return None


def _segmentation(title: str, folders: Sequence[tuple[str, Path]]) -> Gallery:
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
                    Panel(label, encoded(scaled(painted(image, np.array(Image.open(file)), palette))))
                    for label, file in maps
                ],
            )
        )
    return Gallery(title, items, _legend(classes, palette) if items else [])


def _detection(
    title: str, folders: Sequence[tuple[str, Path]], config: Mapping[str, Any], split: Split
) -> Gallery:
    truth_file = annotations_file(config, split)
    if truth_file is None or not truth_file.is_file():
        return Gallery(title, [], [])
    dataset = config[f"{CONFIG_PREFIX[split]}_dataloader"]["dataset"]
    root = Path(dataset.get("data_root") or "") / (dataset.get("data_prefix") or {}).get("img", "")
    truth = json.loads(truth_file.read_text())
    classes = {category["id"]: category["name"] for category in truth["categories"]}
    palette = dict(zip(classes, class_colors(len(classes)), strict=True))
    with_objects = {annotation["image_id"] for annotation in truth["annotations"]}
    by_name = {entry["file_name"]: entry for entry in truth["images"] if entry["id"] in with_objects}
    chosen = {by_name[name]["id"]: name for name in gallery(by_name)}

    found = [("ground truth", [a for a in truth["annotations"] if a["image_id"] in chosen])]
    for label, folder in folders:
        listed = []
        for kind in reversed(KINDS):
            file = detections_file(folder, kind)
            if file.is_file():
                listed += [d for d in json.loads(file.read_text()) if d["image_id"] in chosen]
        found.append((label, [d for d in listed if d["score"] >= _MIN_SCORE]))
    items = []
    for image_id, name in chosen.items():
        if not (root / name).is_file():
            continue
        image = Image.open(root / name).convert("RGB")
        panels = []
        for label, objects in found:
            own = [one for one in objects if one["image_id"] == image_id]
            panels.append(Panel(label, encoded(drawn(image, own, classes, palette))))
        items.append(Item(name, panels))
    return Gallery(title, items, _legend(list(classes.values()), list(palette.values())) if items else [])


def _legend(classes: Sequence[str], palette: Sequence[Color]) -> list[tuple[str, str]]:
    return [
        (name, f"rgb({red},{green},{blue})")
        for name, (red, green, blue) in zip(classes, palette, strict=False)
    ]
