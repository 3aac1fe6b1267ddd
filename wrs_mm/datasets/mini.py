"""The rendered sets: made from a seed, without a network, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wrs_mm.datasets import mini_detection, mini_segmentation, staging

_VERSION = 3
"""Raise it with every change to what is drawn: older sets are then rendered anew."""


def render_mini(root: Path, seed: int = 0) -> list[Path]:
    """Render mini-coco and mini-cityscapes below ``root``.

    A set that is already there, complete and from the same seed, is left as it is.

    Returns:
        The folders of the two sets.

    Raises:
        DatasetError: If a folder of that name holds something else.
    """
    detection = Rendering("mini-coco", mini_detection.render_detection, mini_detection.SPLITS)
    scenes = {split: sum(cities.values()) for split, cities in mini_segmentation.CITIES.items()}
    segmentation = Rendering("mini-cityscapes", mini_segmentation.render_segmentation, scenes)
    return [rendering.write(Path(root), seed) for rendering in (detection, segmentation)]


class Rendering:
    """One rendered set: its name, what draws it and how many images each split has."""

    def __init__(
        self,
        name: str,
        render: Callable[[Path, int, Callable[[], None]], None],
        counts: dict[str, int],
    ) -> None:
        self.name = name
        self.render = render
        self.counts = counts

    def write(self, root: Path, seed: int) -> Path:
        """Render the set below ``root`` unless it is there."""
        folder = root / self.name
        manifest: dict[str, Any] = {
            "name": self.name,
            "version": _VERSION,
            "seed": seed,
            "images": self.counts,
        }
        if not staging.is_complete(folder, manifest):
            with staging.progress(f"Rendering {self.name}", sum(self.counts.values())) as advance:
                staging.make(folder, manifest, lambda path: self.render(path, seed, advance))
        return folder
