"""mini-shapes: an image, a shape, a class; what a backbone is pretrained on before it meets the other sets.

Twenty shapes, of which none is one of mini-coco's six, one in an image of 64 × 64. It comes from the same
brush as the other sets (value noise, random colors, edges smoothed by shrinking, the camera's noise) and is
another distribution where it matters: other outlines, other surfaces (checks, dots, rings, halves), other
ground (patches, weave, gradients), one large object, cut by the border at times, and in front of it thin
arcs. Which parts are the same, docs/datasets.md lists.

A split is one zip file of JPEGs by class: unpacked, it is a folder of images by class, and read as one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wrs_mm.datasets.shape_outlines import OUTLINES
from wrs_mm.datasets.textures import Image, random_color, shrink, to_uint8, value_noise

CLASSES = tuple(sorted(OUTLINES))
"""In the order of their labels, which is that of their folders."""

SPLITS = {"train": 20_000, "val": 2_000, "test": 4_000}
"""Images of each split, every class as often: to train on, to choose settings on, to report."""

SIZE = 64
"""Height and width of an image, in pixels."""

_SUPERSAMPLING = 2
_QUALITY = 95
_RADIUS = (0.3, 0.46)
"""Of a shape, as a share of the image."""
_APART = 45.0
"""How far the colors of one surface are from each other at most, in each channel."""
_MAX_TURN = 0.35
"""Shapes are at most this many radians off their upright form, mirrored or not."""
_EPOCH = (2000, 1, 1, 0, 0, 0)
"""The time of every member of a zip file, so that equal sets are equal files."""

Mask = NDArray[np.bool_]
"""Which pixels of an image."""


def split_files(split: str) -> list[str]:
    """The paths of a split's files below the set's folder."""
    return [f"{split}.zip"]


def render_split(folder: Path, split: str, seed: int, advance: Callable[[], None]) -> None:
    """Write one split of the set to ``folder``, calling ``advance`` after each image."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    # JPEGs do not get smaller: stored, any of them is read by itself at once.
    with zipfile.ZipFile(folder / f"{split}.zip", "w", zipfile.ZIP_STORED) as archive:
        for index in range(SPLITS[split]):
            # An image depends on nothing but its own place, so that a split can grow.
            rng = np.random.default_rng([seed, 2, list(SPLITS).index(split), index])
            name = CLASSES[index % len(CLASSES)]
            encoded = cv2.imencode(".jpg", render_image(rng, name), quality)[1]
            member = zipfile.ZipInfo(f"{name}/{index:06d}.jpg", _EPOCH)
            archive.writestr(member, encoded.tobytes())
            advance()


def render_image(rng: np.random.Generator, name: str, size: int = SIZE) -> NDArray[np.uint8]:
    """Draw one image.

    Args:
        rng: Draws all that is random.
        name: The class.
        size: Height and width, in pixels.

    Returns:
        The BGR image, uint8 of shape (size, size, 3).
    """
    fine = size * _SUPERSAMPLING
    image = _GROUNDS[int(rng.integers(len(_GROUNDS)))](rng, fine)
    mask = _place(rng, name, fine)
    _fill(rng, image, mask)
    for _ in range(int(rng.integers(0, 4))):
        _arc(rng, image)
    small = shrink(image, size, size)
    small += 6 * rng.standard_normal(small.shape, dtype=np.float32)
    return to_uint8(small)


# --- ground --------------------------------------------------------------------------------------


def _patches(rng: np.random.Generator, size: int) -> Image:
    """Flat patches with straight borders, each of the pixels that are nearest to its point."""
    points = rng.uniform(0, 1, (int(rng.integers(4, 10)), 2)).astype(np.float32)
    at = (np.arange(size // 2, dtype=np.float32) + 0.5) / (size // 2)
    apart = (at[:, None, None] - points[:, 0]) ** 2 + (at[None, :, None] - points[:, 1]) ** 2
    first = _ground_color(rng)
    colors = np.stack([_beside(rng, first) for _ in points])
    return _enlarged(colors[apart.argmin(axis=2)], size)


def _weave(rng: np.random.Generator, size: int) -> Image:
    """Two gratings across each other."""
    first = _ground_color(rng)
    second = _beside(rng, first)
    turn = rng.uniform(0, np.pi)
    waves = [np.sin(_across(size // 2, turn + side) * rng.uniform(0.3, 0.9)) for side in (0, np.pi / 2)]
    mix = (0.5 + 0.25 * (waves[0] + waves[1]))[..., None].astype(np.float32)
    return _enlarged(mix * first + (1 - mix) * second, size)


def _gradient(rng: np.random.Generator, size: int) -> Image:
    """From one color to another, uneven."""
    first = _ground_color(rng)
    second = _beside(rng, first)
    along = _across(size // 2, rng.uniform(0, 2 * np.pi)) / (size // 2)
    uneven = value_noise(rng, size // 2, size // 2, cells=(2, 5, 24), persistence=0.7)
    mix = np.clip(0.5 + along + 0.35 * uneven, 0, 1)[..., None].astype(np.float32)
    return _enlarged(mix * first + (1 - mix) * second, size)


_GROUNDS = (_patches, _weave, _gradient)


def _ground_color(rng: np.random.Generator) -> NDArray[np.float32]:
    return random_color(rng, saturation=(20, 140))


def _beside(rng: np.random.Generator, color: NDArray[np.float32]) -> NDArray[np.float32]:
    """A color that is not far from another: borders within a surface are weaker than a shape's."""
    return color + rng.uniform(-_APART, _APART, 3).astype(np.float32)


def _enlarged(image: NDArray[np.floating], size: int) -> Image:
    """An image at half the size, at the full one."""
    return cv2.resize(image.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _across(size: int, turn: float) -> NDArray[np.float64]:
    """How far along a direction each pixel is from the middle."""
    at = np.arange(size) - (size - 1) / 2
    return np.asarray(np.cos(turn) * at[None, :] + np.sin(turn) * at[:, None])


# --- the shape -----------------------------------------------------------------------------------


def _place(rng: np.random.Generator, name: str, size: int) -> Mask:
    """The pixels of a shape somewhere about the middle; a part of it may be outside the image."""
    radius = rng.uniform(*_RADIUS) * size
    turn = rng.uniform(-_MAX_TURN, _MAX_TURN)
    squeeze = rng.uniform(0.85, 1.0, 2)
    # Of an image's mirror image the class is the same: recipes flip.
    squeeze[0] *= rng.choice((-1.0, 1.0))
    reach = size / 2 - 0.7 * radius
    center = size / 2 + rng.uniform(-reach, reach, 2)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    canvas = np.zeros((size, size), np.uint8)
    outlines = [
        np.rint(points * squeeze @ rotation * radius + center).astype(np.int32) for points in OUTLINES[name]
    ]
    # Even-odd: what lies in two outlines is a hole.
    cv2.fillPoly(canvas, outlines, 1)
    return canvas.astype(bool)


def _fill(rng: np.random.Generator, image: Image, mask: Mask) -> None:
    """Paint a mask with one of the surfaces, in two colors, with a dark rim."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if not (width and height):
        return
    window = (slice(y, y + height), slice(x, x + width))
    inside = mask[window]
    first = random_color(rng)
    second = _beside(rng, first)
    surface = _SURFACES[int(rng.integers(len(_SURFACES)))]
    which = surface(rng, height, width)[..., None]
    painted = np.where(which, first, second).astype(np.float32)
    painted *= rng.uniform(0.9, 1.1, (height, width, 1)).astype(np.float32)
    np.copyto(image[window], painted, where=inside[..., None])
    padded = cv2.copyMakeBorder(inside.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    core = cv2.erode(padded, np.ones((5, 5), np.uint8))[1:-1, 1:-1].astype(bool)
    image[window][inside & ~core] *= np.float32(rng.uniform(0.15, 0.5))


def _plain(rng: np.random.Generator, height: int, width: int) -> Mask:
    return np.ones((height, width), bool)


def _checks(rng: np.random.Generator, height: int, width: int) -> Mask:
    across, down, side = *_turned(rng, height, width), rng.uniform(8, 18)
    return np.asarray((np.floor(across / side) + np.floor(down / side)) % 2 == 0)


def _dots(rng: np.random.Generator, height: int, width: int) -> Mask:
    across, down, side = *_turned(rng, height, width), rng.uniform(10, 20)
    off = (across % side - side / 2) ** 2 + (down % side - side / 2) ** 2
    return np.asarray(off < (side * rng.uniform(0.2, 0.35)) ** 2)


def _rings(rng: np.random.Generator, height: int, width: int) -> Mask:
    across, down = _turned(rng, height, width)
    return np.asarray(np.hypot(across, down) % (side := rng.uniform(12, 24)) < side / 2)


def _halves(rng: np.random.Generator, height: int, width: int) -> Mask:
    return np.asarray(_turned(rng, height, width)[0] > 0)


_SURFACES = (_plain, _plain, _checks, _dots, _rings, _halves)


def _turned(
    rng: np.random.Generator, height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of each pixel in a frame turned about a point near the middle."""
    turn = rng.uniform(0, np.pi)
    x = np.arange(width)[None, :] - width * rng.uniform(0.3, 0.7)
    y = np.arange(height)[:, None] - height * rng.uniform(0.3, 0.7)
    return np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x


def _arc(rng: np.random.Generator, image: Image) -> None:
    """A thin arc across the image, in front of everything."""
    size = len(image)
    center = rng.integers(0, size, 2).tolist()
    axes = rng.integers(size // 8, size // 2, 2).tolist()
    turn, begin = rng.uniform(0, 360, 2).tolist()
    color = random_color(rng).tolist()
    thickness = int(rng.integers(1, 4))
    cv2.ellipse(image, center, axes, turn, begin, begin + 120, color, thickness, cv2.LINE_AA)
