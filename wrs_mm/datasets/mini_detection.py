"""mini-coco: shapes on textured ground, in the format and folder layout of COCO 2017.

A detection set that a narrow network learns in minutes on a CPU and does not solve. Six kinds of
objects that differ in outline only (color, size, tilt and surface are random), up to five in an
image of 128 × 128, partly covering each other, over ground that also carries unlabeled strokes and
blots. Every object has its box and its visible outline, so that detectors and instance segmentors
can both train on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wrs_mm.datasets.textures import Image, random_color, shrink, to_uint8, value_noise

CLASSES = ("disc", "square", "triangle", "ring", "star", "cross")
"""Their categories are numbered from 1 in this order."""

SPLITS = {"train2017": 600, "val2017": 400, "test2017": 400}
"""Images of each split: to train on, to choose settings on, to report."""

SIZE = 128
"""Height and width of an image, in pixels."""

_SUPERSAMPLING = 2
_MAX_OBJECTS = 5
_RADIUS = (10.0, 26.0)
_MAX_TURN = 0.35
"""Objects stand roughly upright: at most this many radians off."""
_MAX_HIDDEN = 0.4
"""An object may hide at most this share of another one."""

Mask = NDArray[np.bool_]
"""The pixels of an object, height × width."""


def split_files(split: str) -> list[str]:
    """The paths of a split's files below the set's folder."""
    names = (_name(index + 1) for index in range(SPLITS[split]))
    return [f"annotations/instances_{split}.json", *(f"{split}/{name}" for name in names)]


def render_split(folder: Path, split: str, seed: int, advance: Callable[[], None]) -> None:
    """Write one split of the set to ``folder``, calling ``advance`` after each image."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / split).mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(SPLITS[split]):
        # An image depends on nothing but its own place, so that a split can grow.
        rng = np.random.default_rng([seed, 0, list(SPLITS).index(split), index])
        pixels, objects = render_image(rng)
        image_id = index + 1
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        cv2.imwrite(str(folder / split / _name(image_id)), pixels, quality)
        images.append({"id": image_id, "file_name": _name(image_id), "width": SIZE, "height": SIZE})
        for category, mask in objects:
            annotation = annotate(mask)
            annotation.update(id=len(annotations) + 1, image_id=image_id, category_id=category + 1)
            annotations.append(annotation)
        advance()
    content = {
        "info": {"description": f"mini-coco, rendered by wrs-mm, seed {seed}"},
        "licenses": [],
        "categories": [
            {"id": i + 1, "name": name, "supercategory": "shape"} for i, name in enumerate(CLASSES)
        ],
        "images": images,
        "annotations": annotations,
    }
    path = folder / "annotations" / f"instances_{split}.json"
    path.write_text(json.dumps(content), encoding="utf-8")


def _name(image_id: int) -> str:
    """An image's file, named as COCO names them."""
    return f"{image_id:012d}.jpg"


def render_image(rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[tuple[int, Mask]]]:
    """Draw one image.

    Returns:
        The BGR image, uint8 of shape (128, 128, 3), and for each object its class index and its
        visible part, bool of shape (128, 128).
    """
    fine = SIZE * _SUPERSAMPLING
    image = _ground(rng, fine)
    masks: list[Mask] = []
    categories: list[int] = []
    for _ in range(int(rng.integers(1, _MAX_OBJECTS + 1))):
        category = int(rng.integers(len(CLASSES)))
        mask = _place(rng, category, fine, masks)
        if mask is None:
            continue
        _fill(rng, image, mask)
        for other in masks:
            other &= ~mask
        masks.append(mask)
        categories.append(category)
    small = shrink(image, SIZE, SIZE)
    small += 6 * rng.standard_normal(small.shape, dtype=np.float32)
    step = slice(None, None, _SUPERSAMPLING)
    visible = [mask[step, step] for mask in masks]
    return to_uint8(small), [(c, m) for c, m in zip(categories, visible, strict=True) if m.any()]


def annotate(mask: Mask) -> dict[str, Any]:
    """Return box, area and segmentation of a visible mask as COCO writes them.

    The segmentation is a list of polygons; where the mask has a hole, which polygons cannot say, an
    uncompressed run-length code.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    box = [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]
    return {
        "bbox": box,
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": _polygons(mask) or _run_lengths(mask),
    }


def outline(category: int, radius: float, turn: float) -> NDArray[np.float64]:
    """Return the outer outline of a shape about the origin, float64 of shape (points, 2).

    ``turn`` is its tilt in radians.
    """
    name = CLASSES[category]
    if name in ("disc", "ring"):
        corners, radii = 40, np.full(40, radius)
    elif name == "square":
        corners, radii = 4, np.full(4, radius)
    elif name == "triangle":
        corners, radii = 3, np.full(3, radius * 1.1)
    elif name == "star":
        corners, radii = 10, np.tile([radius * 1.1, radius * 0.48], 5)
    else:
        arm = 0.33
        quarter = np.array([[1, -arm], [1, arm], [arm, arm]])
        turns = [np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) for a in _quarters()]
        points = radius * np.concatenate([quarter @ t for t in turns])
        return points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    # Squares stand on a side; triangles and stars point upwards.
    first = np.pi / 4 if name == "square" else -np.pi / 2
    angles = turn + first + 2 * np.pi * np.arange(corners) / corners
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _quarters() -> NDArray[np.float64]:
    return np.arange(4) * np.pi / 2


def _ground(rng: np.random.Generator, size: int) -> Image:
    """Textured ground with strokes and blots that belong to no class."""
    tone = value_noise(rng, size // 2, size // 2, cells=(3, 7, 15, 40), persistence=0.8)[..., None]
    first, second = (random_color(rng, saturation=(20, 140)) for _ in range(2))
    mix = np.clip(0.5 + 0.6 * tone, 0, 1)
    image: Image = cv2.resize(mix * first + (1 - mix) * second, (size, size))
    for _ in range(int(rng.integers(2, 6))):
        ends = rng.integers(0, size, (2, 2)).tolist()
        color = random_color(rng).tolist()
        cv2.line(image, ends[0], ends[1], color, int(rng.integers(2, 9)), cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 6))):
        center = rng.integers(0, size, 2).tolist()
        axes = rng.integers(4, 12, 2).tolist()
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(image, center, axes, turn, 0, 360, random_color(rng).tolist(), -1, cv2.LINE_AA)
    return image


def _place(rng: np.random.Generator, category: int, size: int, others: list[Mask]) -> Mask | None:
    """Find a place where the object hides little of the ones before it; None if there is none."""
    # Small objects are more frequent than large ones, as in photographs.
    radius = _RADIUS[0] * (_RADIUS[1] / _RADIUS[0]) ** rng.uniform() * _SUPERSAMPLING
    points = outline(category, radius, rng.uniform(-_MAX_TURN, _MAX_TURN))
    for _ in range(10):
        center = rng.uniform(radius, size - radius, 2)
        canvas = np.zeros((size, size), np.uint8)
        cv2.fillPoly(canvas, [np.rint(points + center).astype(np.int32)], 1)
        if CLASSES[category] == "ring":
            inner = max(1, round(radius * 0.55))
            cv2.circle(canvas, np.rint(center).astype(int).tolist(), inner, 0, -1)
        mask = canvas.astype(bool)
        if all((mask & other).sum() <= _MAX_HIDDEN * other.sum() for other in others):
            return mask
    return None


def _fill(rng: np.random.Generator, image: Image, mask: Mask) -> None:
    """Paint a mask with a shaded, sometimes striped color and a darker rim."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    window = (slice(y, y + height), slice(x, x + width))
    inside = mask[window]
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * np.arange(width)[None, :] + np.sin(angle) * np.arange(height)[:, None]
    shade = 25 * np.sin(across / 40 + rng.uniform(0, 6))
    if rng.uniform() < 0.4:
        shade = shade + 35 * np.sign(np.sin(across * rng.uniform(0.5, 1.2)))
    shade = shade + 12 * rng.standard_normal(shade.shape, dtype=np.float32)
    image[window][inside] = random_color(rng) + shade[inside][:, None]
    padded = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    core = cv2.erode(padded, np.ones((3, 3), np.uint8))[1:-1, 1:-1].astype(bool)
    image[window][inside & ~core] *= 0.75


def _polygons(mask: Mask) -> list[list[float]]:
    """Outlines of a mask along pixel borders, as COCO polygons; empty where it has a hole."""
    scale = 4
    large = cv2.resize(mask.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    contours, hierarchy = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if (hierarchy[0, :, 3] >= 0).any():
        return []
    # Contours go through the centers of the enlarged pixels.
    polygons = [((c[:, 0] + 0.5) / scale).ravel().tolist() for c in contours]
    return [polygon for polygon in polygons if len(polygon) >= 6]


def _run_lengths(mask: Mask) -> dict[str, Any]:
    """Uncompressed run-length code of a mask: column by column, first run is background."""
    flat = mask.ravel(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], borders, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}
