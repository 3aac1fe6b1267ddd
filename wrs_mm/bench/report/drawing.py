"""Pictures of the gallery: an image under its label map, or with boxes and masks, as a data URI."""

from __future__ import annotations

import base64
import colorsys
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LONGER_SIDE = 448
"""Pixels."""

_IGNORED = 255

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


def class_colors(count: int) -> list[Color]:
    """Colors for classes that have none: around the hue circle, neighbors far apart."""
    listed = []
    for index in range(count):
        red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1, 0.75, 0.95)
        listed.append((int(255 * red), int(255 * green), int(255 * blue)))
    return listed


def painted(image: Image.Image, labels: np.ndarray, palette: Sequence[Color]) -> Image.Image:
    """The image under its label map; pixels without a label stay as they are."""
    table = np.zeros((256, 3), np.float32)
    table[: len(palette)] = palette
    pixels = np.asarray(image.resize(labels.shape[::-1]), np.float32)
    mixed = 0.35 * pixels + 0.65 * table[labels]
    mixed[labels == _IGNORED] = pixels[labels == _IGNORED]
    return Image.fromarray(mixed.round().astype(np.uint8))


def drawn(
    image: Image.Image,
    objects: Iterable[dict[str, Any]],
    classes: Mapping[int, str],
    palette: Mapping[int, Color],
) -> Image.Image:
    """The image with boxes, masks where there are any, and scores; the surest on top."""
    canvas = scaled(image)
    factor = canvas.width / image.width
    listed = sorted(objects, key=lambda one: one.get("score", 1.0))
    for one in listed:
        mask = _mask(one, image.height, image.width)
        if mask is not None:
            cover = Image.fromarray(mask * np.uint8(115)).resize(canvas.size)
            canvas.paste(Image.new("RGB", canvas.size, palette[one["category_id"]]), mask=cover)
    draw = ImageDraw.Draw(canvas)
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
    return canvas


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


def scaled(image: Image.Image) -> Image.Image:
    """The image with its longer side at :data:`LONGER_SIDE`."""
    factor = LONGER_SIDE / max(image.size)
    size = (max(1, round(factor * image.width)), max(1, round(factor * image.height)))
    return image.resize(size, Image.Resampling.LANCZOS)


def encoded(image: Image.Image) -> str:
    """The image as a data URI."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
