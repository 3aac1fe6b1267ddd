"""The outlines of mini-shapes' classes: as large as a circle of radius 1, about the origin, y pointing down.

None is one of mini-coco's shapes (disc, square, triangle, ring, star of five points, cross), and none becomes
another when it is mirrored or turned a little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]
"""The corners of a closed polygon, shape (points, 2)."""


def _polygon(*corners: float) -> Outline:
    """A polygon from its corners' coordinates, x and y in turn."""
    return np.array(corners, np.float64).reshape(-1, 2)


def _moved(outline: Outline, x: float, y: float) -> Outline:
    return np.asarray(outline + np.array([x, y]))


def _joined(*parts: Outline) -> Outline:
    return np.concatenate(parts)


def _polar(radius: Sequence[float] | Outline, begin: float = -np.pi / 2, span: float = 2 * np.pi) -> Outline:
    """A polygon whose corners have these distances from the origin, at equal steps of angle."""
    radii = np.asarray(radius, np.float64)
    # The last corner of a whole turn is not the first again.
    closed = span >= 2 * np.pi
    angles = begin + span * np.arange(len(radii)) / (len(radii) if closed else len(radii) - 1)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _circle(radius: float, x: float = 0.0, y: float = 0.0, points: int = 28) -> Outline:
    return _moved(_polar([radius] * points), x, y)


def _waves(count: int, low: float, points: int = 60) -> Outline:
    """A closed curve that swings between ``low`` and 1."""
    angles = 2 * np.pi * np.arange(points) / points
    return _polar(0.5 * (1 + low) + 0.5 * (1 - low) * np.cos(count * angles))


def _teeth(count: int, low: float) -> Outline:
    """A gear wheel."""
    return _polar([1, 1, low, low] * count)


def _crescent() -> Outline:
    outer = _polar([0.95] * 24, 0.25 * np.pi, 1.5 * np.pi)
    inner = _moved(_polar([0.72] * 18, 0.3 * np.pi, 1.4 * np.pi)[::-1], 0.32, 0)
    return np.concatenate([outer, inner])


def _heart() -> Outline:
    t = 2 * np.pi * np.arange(40) / 40
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1) / 17


def _drop() -> Outline:
    return _joined(_moved(_polar([0.62] * 22, -0.12 * np.pi, 1.24 * np.pi), 0, 0.3), _polygon(0, -1))


def _lens() -> Outline:
    half = _moved(_polar([1.25] * 16, -0.75 * np.pi, 0.5 * np.pi), 0, 0.884)
    return np.concatenate([half, -half])


def _spiral() -> Outline:
    angles = np.linspace(0, 3.4 * np.pi, 44)
    outer = 0.2 + 0.8 * angles / angles[-1]
    inner = np.maximum(outer - 0.26, 0.0)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([outer[:, None] * rays, (inner[:, None] * rays)[::-1]])


OUTLINES: Mapping[str, tuple[Outline, ...]] = {
    "arrow": (_polygon(0, -1, 0.65, -0.2, 0.25, -0.2, 0.25, 0.95, -0.25, 0.95, -0.25, -0.2, -0.65, -0.2),),
    "chevron": (_polygon(0, -0.75, 0.9, 0.15, 0.9, 0.75, 0, -0.15, -0.9, 0.75, -0.9, 0.15),),
    "clover": (_waves(3, 0.35),),
    "comb": (
        _polygon(
            *(-0.75, -0.9, 0.75, -0.9, 0.75, -0.5, -0.3, -0.5, -0.3, -0.2, 0.75, -0.2, 0.75, 0.2),
            *(-0.3, 0.2, -0.3, 0.5, 0.75, 0.5, 0.75, 0.9, -0.75, 0.9),
        ),
    ),
    "crescent": (_crescent(),),
    "drop": (_drop(),),
    "dumbbell": (
        np.concatenate(
            [
                _moved(_polar([0.48] * 20, -0.87 * np.pi, 1.74 * np.pi), 0.5, 0),
                _moved(_polar([0.48] * 20, 0.13 * np.pi, 1.74 * np.pi), -0.5, 0),
            ]
        ),
    ),
    "frame": (
        _polygon(-0.7, -0.9, 0.7, -0.9, 0.7, 0.9, -0.7, 0.9),
        _polygon(-0.35, -0.55, 0.35, -0.55, 0.35, 0.55, -0.35, 0.55),
    ),
    "gear": (_teeth(8, 0.72), _circle(0.3)),
    "half_disc": (_moved(_polar([0.98] * 26, np.pi, np.pi), 0, 0.45),),
    "heart": (_heart(),),
    "hexagon": (_polar([0.95] * 6),),
    "hook": (
        _polygon(
            -0.75, -0.9, -0.3, -0.9, -0.3, 0.45, 0.3, 0.45, 0.3, -0.2, 0.75, -0.2, 0.75, 0.9, -0.75, 0.9
        ),
    ),
    "hourglass": (_polygon(-0.75, -0.95, 0.75, -0.95, 0.12, 0, 0.75, 0.95, -0.75, 0.95, -0.12, 0),),
    "lens": (_lens(),),
    "lightning": (_polygon(0.1, -1, -0.6, 0.15, -0.1, 0.15, -0.3, 1, 0.6, -0.3, 0.1, -0.3, 0.5, -1),),
    "sector": (np.concatenate([_polar([0.98] * 28, 0.2 * np.pi, 1.6 * np.pi), _polygon(0, 0)]),),
    "spiral": (_spiral(),),
    "tee": (
        _polygon(
            -0.9, -0.9, 0.9, -0.9, 0.9, -0.4, 0.25, -0.4, 0.25, 0.95, -0.25, 0.95, -0.25, -0.4, -0.9, -0.4
        ),
    ),
    "trapezoid": (_polygon(-0.4, -0.7, 0.4, -0.7, 0.95, 0.65, -0.95, 0.65),),
}
"""By class, its outlines; what lies in two of them is a hole."""
