"""Noise and colors shared by the rendered data sets.

The ground of both sets is value noise in several octaves: smooth enough to look like a surface,
busy enough that color alone does not give the objects away. Everything is drawn from the generator
that is handed in, so that an image depends on its seed and on nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""An image in BGR, shape (height, width, 3), values from 0 to 255."""

Color = NDArray[np.float32]
"""A color in BGR, shape (3,), values from 0 to 255."""


def value_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cells: tuple[int, ...] = (4, 8, 16, 32),
    persistence: float = 0.6,
) -> NDArray[np.float32]:
    """Return smooth noise of shape (height, width), zero mean, largest magnitude 1.

    Each entry of ``cells`` is one octave, the number of grid cells along the longer side; the
    amplitude falls by ``persistence`` from one octave to the next.
    """
    noise = np.zeros((height, width), np.float32)
    longer = max(height, width)
    amplitude = 1.0
    for count in cells:
        rows = max(2, round(count * height / longer) + 1)
        columns = max(2, round(count * width / longer) + 1)
        grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        noise += amplitude * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        amplitude *= persistence
    noise -= noise.mean()
    return noise / np.abs(noise).max()


def random_color(
    rng: np.random.Generator,
    hue: tuple[float, float] = (0, 180),
    saturation: tuple[float, float] = (60, 220),
    value: tuple[float, float] = (70, 235),
) -> Color:
    """Draw a color uniformly from a box in OpenCV's HSV (hue 0 to 180, the others 0 to 255)."""
    hsv = np.array([[[rng.uniform(*hue) % 180, rng.uniform(*saturation), rng.uniform(*value)]]])
    bgr = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)
    return bgr[0, 0].astype(np.float32)


def shrink(image: Image, width: int, height: int) -> Image:
    """Shrink an image by averaging, which smooths edges drawn at a larger scale."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def to_uint8(image: Image) -> NDArray[np.uint8]:
    """Round and clip an image to what a file holds."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
