"""The rendered sets: made from a seed, without a network, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wrs_mm.datasets import mini_detection, mini_segmentation, mini_shapes, staging

VERSION = 4
"""Raise it with every change to what a set holds: older sets are then brought up to date."""

_DRAWN_SINCE = 3
"""The first version that drew images as they are drawn now; raise it with every change to that."""

_FRESH_SEED = 1


def render_mini(root: Path, seed: int = 0) -> list[Path]:
    """Render mini-coco and mini-cityscapes below ``root``.

    A set that is already there, complete and from the same seed, is left as it is; of one that is
    incomplete or older, those splits are taken over that are as they should be.

    Returns:
        The folders of the two sets.

    Raises:
        DatasetError: If a folder of that name holds something else.
    """
    detection = Rendering(
        "mini-coco", mini_detection.render_split, mini_detection.split_files, mini_detection.SPLITS
    )
    return [
        rendering.write(Path(root), seed)
        for rendering in (detection, scenes("mini-cityscapes", mini_segmentation.CITIES))
    ]


def render_fresh(root: Path) -> list[Path]:
    """Render fresh-coco and fresh-cityscapes below ``root``: the rendered sets' test splits, anew.

    From another seed, for what was found when the sets' own test splits had been looked at.

    Returns:
        The folders of the two sets.

    Raises:
        DatasetError: If a folder of that name holds something else.
    """
    test = "test2017"
    detection = Rendering(
        "fresh-coco",
        mini_detection.render_split,
        mini_detection.split_files,
        {test: mini_detection.SPLITS[test]},
    )
    segmentation = scenes("fresh-cityscapes", {"test": mini_segmentation.CITIES["test"]})
    return [rendering.write(Path(root), _FRESH_SEED) for rendering in (detection, segmentation)]


def render_shapes(root: Path, seed: int = 0) -> list[Path]:
    """Render mini-shapes below ``root``, as :func:`render_mini` does its sets; it takes longer than they do.

    Returns:
        Its folder, alone in a list.

    Raises:
        DatasetError: If a folder of that name holds something else.
    """
    shapes = Rendering("mini-shapes", mini_shapes.render_split, mini_shapes.split_files, mini_shapes.SPLITS)
    return [shapes.write(Path(root), seed)]


@dataclass(frozen=True)
class Rendering:
    """One rendered set.

    Attributes:
        name: Of the set, and of its folder.
        render: Writes one split to a folder, from a seed, and calls what it is given after each image.
        files: The paths of a split's files below the folder.
        sizes: How many images each split has.
    """

    name: str
    render: Callable[[Path, str, int, Callable[[], None]], None]
    files: Callable[[str], list[str]]
    sizes: dict[str, int]

    def write(self, root: Path, seed: int) -> Path:
        """Render what is missing of the set below ``root``; returns its folder."""
        folder = root / self.name
        manifest: dict[str, Any] = {
            "name": self.name,
            "version": VERSION,
            "seed": seed,
            "images": self.sizes,
        }
        right = [split for split in self.sizes if self._is_right(folder, split, seed)]
        if staging.is_complete(folder, manifest) and len(right) == len(self.sizes):
            return folder
        missing = {split: size for split, size in self.sizes.items() if split not in right}
        with staging.progress(f"Rendering {self.name}", sum(missing.values())) as advance:

            def fill(path: Path) -> None:
                for split in right:
                    staging.take_over(folder, path, self.files(split))
                for split in missing:
                    self.render(path, split, seed, advance)

            staging.make(folder, manifest, fill)
        return folder

    def _is_right(self, folder: Path, split: str, seed: int) -> bool:
        """Whether a split is there as it would be rendered."""
        found = staging.read_manifest(folder)
        return (
            (found.get("name"), found.get("seed")) == (self.name, seed)
            and found.get("version") in range(_DRAWN_SINCE, VERSION + 1)
            and found.get("images", {}).get(split) == self.sizes[split]
            and all((folder / name).is_file() for name in self.files(split))
        )


def scenes(name: str, cities: mini_segmentation.Cities) -> Rendering:
    """The set of street scenes of some cities."""
    return Rendering(
        name,
        partial(mini_segmentation.render_split, cities=cities),
        partial(mini_segmentation.split_files, cities=cities),
        {split: sum(counts.values()) for split, counts in cities.items()},
    )
