"""mini-cityscapes: street scenes in the format and folder layout of Cityscapes.

Scenes of 128 × 256 pixels with all 19 training classes, painted from far to near: sky, houses and
trees, walls and fences, road, pavements and grass, then poles, vehicles and people. Images, label
identifiers and training identifiers lie in Cityscapes' folders under its file names, and the bonnet
of the camera's car is left out of training and scoring, as there. Rare classes are put into scenes
in turn, so that every one of them occurs in each split.

It is one file of more than 400 lines because every painter draws from the scene's one stream of random
numbers: they make sense only in the order in which a scene calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wrs_mm.datasets.textures import Color, Image, random_color, shrink, to_uint8, value_noise

Cities = dict[str, dict[str, int]]
"""How many scenes each city of each split has."""

CITIES: Cities = {
    "train": {"arden": 120, "bramley": 120},
    "val": {"corbridge": 120},
    "test": {"dunmore": 60, "elsdon": 60},
}
"""Scenes of each city, by split: to train on, to choose settings on, to report."""

HEIGHT, WIDTH = 128, 256
"""Of a scene, in pixels."""

IGNORE = 255
"""Training identifier of what is neither trained nor scored."""

_SUPERSAMPLING = 2

_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The label identifier of each training identifier."""

(
    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, VEGETATION, TERRAIN,
    SKY, PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE,
) = range(19)  # fmt: skip
"""Cityscapes' training identifiers, in its order."""

_EGO_VEHICLE_ID = 1

RARE = (TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE)
"""Classes that are put into scenes in turn."""

_Points = list[tuple[float, float]]


def split_files(split: str, cities: Cities) -> list[str]:
    """The paths of a split's files below the set's folder, three for each scene."""
    return [
        name
        for city, count in cities[split].items()
        for index in range(count)
        for name in _names(split, city, index)
    ]


def render_split(folder: Path, split: str, seed: int, advance: Callable[[], None], cities: Cities) -> None:
    """Write one split of the set to ``folder``, calling ``advance`` after each scene."""
    split_index = list(cities).index(split)
    for city_index, (city, count) in enumerate(cities[split].items()):
        for kind in ("leftImg8bit", "gtFine"):
            (folder / kind / split / city).mkdir(parents=True)
        for index in range(count):
            # A scene depends on nothing but its own place, so that a split can grow.
            rng = np.random.default_rng([seed, 1, split_index, city_index, index])
            pixels, train_ids = render_scene(rng, RARE[index % len(RARE)])
            written = (pixels, train_ids, label_ids(train_ids))
            for name, content in zip(_names(split, city, index), written, strict=True):
                cv2.imwrite(str(folder / name), content)
            advance()


def _names(split: str, city: str, index: int) -> tuple[str, str, str]:
    """A scene under Cityscapes' names: image, training identifiers, label identifiers."""
    stem = f"{split}/{city}/{city}_{index:06d}_000019"
    return (
        f"leftImg8bit/{stem}_leftImg8bit.png",
        f"gtFine/{stem}_gtFine_labelTrainIds.png",
        f"gtFine/{stem}_gtFine_labelIds.png",
    )


def label_ids(train_ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Translate training identifiers (0 to 18, 255) to Cityscapes' label identifiers."""
    table = np.full(256, _EGO_VEHICLE_ID, np.uint8)
    table[: len(_LABEL_IDS)] = _LABEL_IDS
    return table[train_ids]


def render_scene(rng: np.random.Generator, wanted: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one scene that shows the class ``wanted`` in front.

    Returns:
        The BGR image, uint8 of shape (128, 256, 3), and its training identifiers, uint8 of shape
        (128, 256).
    """
    canvas = _Canvas(rng)
    horizon = rng.uniform(0.38, 0.5) * HEIGHT
    vanishing = rng.uniform(0.35, 0.65) * WIDTH
    _paint_background(canvas, horizon)
    left, right = _paint_ground(canvas, horizon, vanishing)
    _paint_traffic(canvas, horizon, vanishing, (left, right), wanted)
    canvas.ellipse((WIDTH / 2, HEIGHT + 6), (WIDTH * 0.45, 13), random_color(rng), IGNORE)
    return canvas.finish()


class _Canvas:
    """An image and its labels, painted together. Coordinates are pixels of the final image."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        shape = (HEIGHT * _SUPERSAMPLING, WIDTH * _SUPERSAMPLING)
        self.image: Image = np.zeros((*shape, 3), np.float32)
        self.labels = np.full(shape, IGNORE, np.uint8)
        coarse = value_noise(rng, *shape, cells=(4, 9, 20, 50), persistence=0.7)
        fine = 0.4 * rng.standard_normal(shape, dtype=np.float32)
        self._surfaces = {"smooth": 0.5 * coarse, "rough": 0.6 * coarse + fine, "flat": 0 * fine}

    def polygon(
        self,
        points: _Points,
        color: Color,
        label: int,
        surface: str = "smooth",
        contrast: float = 25.0,
    ) -> None:
        """Fill a polygon with a color, modulated by a surface, and label it."""
        corners = np.rint(np.asarray(points) * _SUPERSAMPLING).astype(np.int32)
        height, width = self.labels.shape
        low = np.maximum(corners.min(axis=0), 0)
        high = np.minimum(corners.max(axis=0) + 1, (width, height))
        if (low >= high).any():
            return
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillPoly(mask, [corners - low], 1)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        inside = mask.astype(bool)
        shade = np.float32(contrast) * self._surfaces[surface][window]
        # Channel by channel: several times faster than indexing pixels with a mask.
        for channel in range(3):
            painted = shade + np.float32(color[channel])
            np.copyto(self.image[window][..., channel], painted, where=inside)
        np.copyto(self.labels[window], np.uint8(label), where=inside)

    def box(self, x: float, y: float, width: float, height: float, color: Color, label: int,
            surface: str = "smooth", contrast: float = 25.0) -> None:  # fmt: skip
        """Fill the rectangle whose upper left corner is (x, y)."""
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        self.polygon(corners, color, label, surface, contrast)

    def ellipse(self, center: tuple[float, float], radii: tuple[float, float], color: Color,
                label: int, surface: str = "smooth", contrast: float = 25.0) -> None:  # fmt: skip
        """Fill an ellipse with upright axes."""
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        points = [
            (center[0] + radii[0] * float(np.cos(a)), center[1] + radii[1] * float(np.sin(a))) for a in angles
        ]
        self.polygon(points, color, label, surface, contrast)

    def finish(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Apply the light of the day and the camera's noise, and shrink to the final size."""
        rng = self.rng
        small = shrink(self.image, WIDTH, HEIGHT)
        small *= (rng.uniform(0.65, 1.15) * rng.uniform(0.92, 1.08, 3)).astype(np.float32)
        small += 5 * rng.standard_normal(small.shape, dtype=np.float32)
        step = slice(None, None, _SUPERSAMPLING)
        return to_uint8(small), np.ascontiguousarray(self.labels[step, step])


def _gray(rng: np.random.Generator, low: float, high: float) -> Color:
    """Draw a gray with a slight tint."""
    return (rng.uniform(low, high) + rng.uniform(-8, 8, 3)).astype(np.float32)


def _paint_background(canvas: _Canvas, horizon: float) -> None:
    """Paint the sky, and a skyline of houses and trees that stands on the horizon."""
    rng = canvas.rng
    sky = random_color(rng, hue=(95, 120), saturation=(10, 130), value=(170, 245))
    canvas.box(0, 0, WIDTH, horizon + 1, sky, SKY, "smooth", 30)
    x = rng.uniform(-20, 0)
    while x < WIDTH:
        width = rng.uniform(22, 55)
        kind = rng.uniform()
        if kind < 0.55:
            _paint_house(canvas, x, horizon, width, rng.uniform(0.35, 0.95) * horizon)
        elif kind < 0.85:
            _paint_tree(canvas, x + width / 2, horizon + 3, rng.uniform(14, 26))
        x += width


def _paint_house(canvas: _Canvas, x: float, base: float, width: float, height: float) -> None:
    rng = canvas.rng
    color = random_color(rng, hue=(0, 30), saturation=(10, 120), value=(80, 210))
    canvas.box(x, base - height, width, height + 4, color, BUILDING)
    pane = color * rng.uniform(0.4, 0.7)
    step = rng.uniform(7, 11)
    for wx in np.arange(x + 3, x + width - 4, step):
        for wy in np.arange(base - height + 4, base - 5, step):
            canvas.box(wx, wy, step * 0.5, step * 0.55, pane, BUILDING)


def _paint_tree(canvas: _Canvas, x: float, base: float, radius: float) -> None:
    rng = canvas.rng
    leaves = random_color(rng, hue=(30, 60), saturation=(70, 190), value=(50, 140))
    canvas.box(x - 2, base - radius, 4, radius, _gray(rng, 40, 80), VEGETATION)
    for _ in range(6):
        dx, dy = rng.normal(0, radius * 0.35, 2)
        size = radius * rng.uniform(0.4, 0.65)
        center = (x + dx, base - radius * 1.3 + dy)
        canvas.ellipse(center, (size, size * 0.9), leaves, VEGETATION, "rough", 45)


def _paint_ground(canvas: _Canvas, horizon: float, vanishing: float) -> tuple[float, float]:
    """Paint grass, pavements and road, with a wall or a fence on each side.

    Returns:
        Where the road's borders meet the bottom of the image, in pixels.
    """
    rng = canvas.rng
    grass = random_color(rng, hue=(28, 50), saturation=(60, 150), value=(90, 170))
    canvas.box(0, horizon, WIDTH, HEIGHT, grass, TERRAIN, "rough", 30)
    left, right = rng.uniform(-0.15, 0.2) * WIDTH, rng.uniform(0.8, 1.15) * WIDTH
    kerb = rng.uniform(0.2, 0.4) * WIDTH
    stone, asphalt = _gray(rng, 130, 190), _gray(rng, 60, 110)

    def strip(low: float, high: float, color: Color, label: int) -> None:
        top = [(vanishing + 0.12 * (x - vanishing), horizon) for x in (high, low)]
        canvas.polygon([(low, HEIGHT), (high, HEIGHT), *top], color, label, "rough", 18)

    strip(left - kerb, right + kerb, stone, SIDEWALK)
    strip(left, right, asphalt, ROAD)
    center = (left + right) / 2
    strip(center - 2, center + 2, _gray(rng, 190, 230), ROAD)
    kinds = [WALL, FENCE]
    rng.shuffle(kinds)
    for kind, side in zip(kinds, (-1, 1), strict=True):
        _paint_barrier(canvas, kind, side, horizon, vanishing)
    return left, right


def _paint_barrier(canvas: _Canvas, kind: int, side: int, horizon: float, vanishing: float) -> None:
    """Paint a brick wall or a barred fence along one side, growing towards the viewer."""
    rng = canvas.rng
    near_x = 0.0 if side < 0 else float(WIDTH)
    far_x = vanishing + side * rng.uniform(30, 45)
    near_height, far_height = rng.uniform(24, 34), rng.uniform(8, 12)
    near_base = horizon + rng.uniform(16, 26)

    def at(t: float) -> tuple[float, float, float]:
        x = far_x + t * (near_x - far_x)
        base = horizon + 3 + t * (near_base - horizon - 3)
        return x, base, far_height + t * (near_height - far_height)

    def piece(start: float, end: float, low: float, high: float, color: Color) -> None:
        (x0, b0, h0), (x1, b1, h1) = at(start), at(end)
        corners = [(x0, b0 - low * h0), (x1, b1 - low * h1)]
        corners += [(x1, b1 - high * h1), (x0, b0 - high * h0)]
        canvas.polygon(corners, color, kind)

    if kind == WALL:
        bricks = random_color(rng, hue=(0, 20), saturation=(30, 130), value=(100, 180))
        piece(0, 1, 0, 1, bricks)
        for level in (0.25, 0.5, 0.75):
            piece(0, 1, level, level + 0.07, bricks * 0.65)
        return
    steel = _gray(rng, 90, 200)
    piece(0, 1, 0, 1, random_color(rng, hue=(30, 110), saturation=(20, 80), value=(60, 120)))
    for start in np.linspace(0, 0.96, 16):
        piece(float(start), float(start) + 0.025, 0, 1, steel)
    for level in (0.15, 0.8):
        piece(0, 1, level, level + 0.1, steel)


def _paint_traffic(
    canvas: _Canvas,
    horizon: float,
    vanishing: float,
    borders: tuple[float, float],
    wanted: int,
) -> None:
    """Paint poles, vehicles and people, far ones first."""
    rng = canvas.rng
    things: list[tuple[float, int, float]] = []
    swap = int(rng.integers(2))
    for side in (0, 1):
        edge = borders[side] + (-18 if side == 0 else 18)
        things.append((rng.uniform(0.2, 0.6), (LIGHT, SIGN)[side ^ swap], edge))
        things.append((rng.uniform(0.4, 0.9), PERSON, edge + rng.uniform(-15, 15)))
    for kind in (CAR, int(rng.choice(RARE))):
        things.append((rng.uniform(0.25, 0.7), kind, rng.uniform(*borders)))
    things.append((rng.uniform(0.6, 0.95), wanted, rng.uniform(0.15, 0.85) * WIDTH))
    for depth, kind, near_x in sorted(things):
        x = vanishing + (0.12 + 0.88 * depth) * (near_x - vanishing)
        base = horizon + depth * (HEIGHT - 12 - horizon)
        _PAINTERS[kind](canvas, float(x), float(base), 0.7 + 0.75 * depth)


def _paint_light(canvas: _Canvas, x: float, base: float, size: float) -> None:
    rng = canvas.rng
    canvas.box(x - 3 * size, base - 45 * size, 6 * size, 45 * size, _gray(rng, 90, 140), POLE)
    width, height = 15 * size, 28 * size
    canvas.box(x - width / 2, base - 64 * size, width, height, _gray(rng, 25, 50), LIGHT)
    lamp = random_color(rng, hue=(0, 70), saturation=(200, 250), value=(220, 250))
    spot = rng.integers(3) * 9 + 5
    canvas.ellipse((x, base - (64 - spot) * size), (4 * size, 4 * size), lamp, LIGHT)


def _paint_sign(canvas: _Canvas, x: float, base: float, size: float) -> None:
    rng = canvas.rng
    canvas.box(x - 3 * size, base - 42 * size, 6 * size, 42 * size, _gray(rng, 90, 140), POLE)
    hue = float(rng.choice([0, 25, 110]))
    color = random_color(rng, (hue, hue + 8), saturation=(170, 240), value=(170, 240))
    center, radius = (x, base - 46 * size), 11 * size
    if rng.uniform() < 0.5:
        canvas.ellipse(center, (radius, radius), color, SIGN)
        canvas.ellipse(center, (radius * 0.6, radius * 0.6), _gray(rng, 215, 245), SIGN)
    else:
        canvas.box(x - radius, center[1] - radius, 2 * radius, 2 * radius, color, SIGN)
        bar = _gray(rng, 215, 245)
        canvas.box(x - radius * 0.6, center[1] - 2 * size, radius * 1.2, 4 * size, bar, SIGN)


def _paint_figure(canvas: _Canvas, x: float, base: float, size: float, label: int) -> None:
    """Paint head and trunk of somebody whose trunk ends at ``base``."""
    rng = canvas.rng
    skin = random_color(rng, hue=(5, 18), saturation=(60, 140), value=(110, 230))
    canvas.box(x - 6 * size, base - 19 * size, 12 * size, 19 * size, random_color(rng), label)
    canvas.ellipse((x, base - 23 * size), (5 * size, 6 * size), skin, label)


def _paint_person(canvas: _Canvas, x: float, base: float, size: float) -> None:
    trousers = random_color(canvas.rng, value=(30, 130))
    for foot in (-1, 1):
        left = x + (foot * 3.2 - 2.7) * size
        canvas.box(left, base - 17 * size, 5.4 * size, 17 * size, trousers, PERSON)
    _paint_figure(canvas, x, base - 16 * size, size, PERSON)


def _paint_wheels(canvas: _Canvas, x: float, base: float, span: float, radius: float, label: int) -> None:
    rng = canvas.rng
    for side in (-1, 1):
        center = (x + side * span / 2, base - radius)
        canvas.ellipse(center, (radius, radius), _gray(rng, 15, 40), label)
        canvas.ellipse(center, (radius * 0.5, radius * 0.5), _gray(rng, 120, 180), label)


def _paint_bicycle(canvas: _Canvas, x: float, base: float, size: float) -> None:
    """Paint a bicycle, coarsely outlined as in Cityscapes, with or without a rider."""
    rng = canvas.rng
    frame = random_color(rng, saturation=(120, 240))
    for side in (-1, 1):
        center = (x + side * 11 * size, base - 9 * size)
        canvas.ellipse(center, (9 * size, 9 * size), _gray(rng, 20, 50), BICYCLE)
        canvas.ellipse(center, (6 * size, 6 * size), _gray(rng, 150, 200), BICYCLE)
    corners = [(x - 11 * size, base - 9 * size), (x - 4 * size, base - 20 * size)]
    corners += [(x + 8 * size, base - 20 * size), (x + 11 * size, base - 9 * size)]
    canvas.polygon(corners, frame, BICYCLE)
    if rng.uniform() < 0.75:
        _paint_figure(canvas, x - 2 * size, base - 17 * size, size, RIDER)


def _paint_motorcycle(canvas: _Canvas, x: float, base: float, size: float) -> None:
    rng = canvas.rng
    _paint_wheels(canvas, x, base, 26 * size, 7 * size, MOTORCYCLE)
    body = random_color(rng, saturation=(150, 250), value=(60, 220))
    corners = [(x - 17 * size, base - 18 * size), (x + 10 * size, base - 22 * size)]
    corners += [(x + 15 * size, base - 10 * size), (x, base - 4 * size)]
    canvas.polygon([*corners, (x - 12 * size, base - 8 * size)], body, MOTORCYCLE)
    if rng.uniform() < 0.75:
        _paint_figure(canvas, x - 3 * size, base - 16 * size, size, RIDER)


def _paint_car(canvas: _Canvas, x: float, base: float, size: float) -> None:
    rng = canvas.rng
    color = random_color(rng, saturation=(0, 230), value=(50, 240))
    roof = [(x - 14 * size, base - 14 * size), (x - 9 * size, base - 25 * size)]
    roof += [(x + 9 * size, base - 25 * size), (x + 15 * size, base - 14 * size)]
    canvas.polygon(roof, color * 0.45, CAR)
    canvas.box(x - 22 * size, base - 16 * size, 44 * size, 12 * size, color, CAR)
    _paint_wheels(canvas, x, base, 26 * size, 5 * size, CAR)


def _paint_truck(canvas: _Canvas, x: float, base: float, size: float) -> None:
    """Paint a cab and a plain cargo box of another color."""
    rng = canvas.rng
    side = int(rng.choice([-1, 1]))
    cargo = random_color(rng, saturation=(0, 160), value=(120, 240))
    canvas.box(x - 26 * size, base - 11 * size, 52 * size, 6 * size, _gray(rng, 20, 50), TRUCK)
    start = x - 12 * size - side * 8 * size - 8 * size
    canvas.box(start, base - 44 * size, 40 * size, 38 * size, cargo, TRUCK, "rough", 15)
    cab = x + side * 24 * size - 9 * size
    canvas.box(cab, base - 30 * size, 18 * size, 26 * size, random_color(rng), TRUCK)
    canvas.box(cab + 3 * size, base - 27 * size, 12 * size, 9 * size, _gray(rng, 30, 60), TRUCK)
    _paint_wheels(canvas, x, base, 40 * size, 6 * size, TRUCK)


def _paint_bus(canvas: _Canvas, x: float, base: float, size: float) -> None:
    """Paint a box of one color with a row of windows."""
    rng = canvas.rng
    color = random_color(rng, saturation=(120, 230), value=(110, 230))
    canvas.box(x - 34 * size, base - 42 * size, 68 * size, 37 * size, color, BUS)
    pane = _gray(rng, 30, 70)
    for column in range(6):
        left = x + (column * 11 - 32) * size
        canvas.box(left, base - 37 * size, 8.5 * size, 13 * size, pane, BUS)
    _paint_wheels(canvas, x, base, 42 * size, 6 * size, BUS)


def _paint_train(canvas: _Canvas, x: float, base: float, size: float) -> None:
    """Paint a long carriage with a slanted nose, a band of windows, and no wheels in sight."""
    rng = canvas.rng
    side = int(rng.choice([-1, 1]))
    color = random_color(rng, saturation=(60, 220), value=(90, 220))

    def band(low: float, high: float, paint: Color) -> None:
        # The nose leans back: the higher, the shorter.
        front = [(x + side * (36 - 0.3 * h) * size, base - h * size) for h in (low, high)]
        back = [(x - side * 38 * size, base - h * size) for h in (high, low)]
        canvas.polygon([*front, *back], paint, TRAIN)

    band(0, 38, color)
    band(20, 31, _gray(rng, 30, 60))
    band(10, 14, _gray(rng, 200, 245))
    band(0, 4, _gray(rng, 40, 70))


_PAINTERS: dict[int, Callable[[_Canvas, float, float, float], None]] = {
    LIGHT: _paint_light,
    SIGN: _paint_sign,
    PERSON: _paint_person,
    BICYCLE: _paint_bicycle,
    MOTORCYCLE: _paint_motorcycle,
    CAR: _paint_car,
    TRUCK: _paint_truck,
    BUS: _paint_bus,
    TRAIN: _paint_train,
}
