"""What a network predicted on the split that tables report, on disk beside its run.

The metrics of a run are averages over all images of a split. Which images they depend on
(:mod:`wrs_mm.bench.statistics.over_images`), which classes, and what the network gets wrong can only be
said from its predictions. The toolboxes' own evaluators write them, on tune at each validation over those
of the one before, on test once; so what remains belongs to the last checkpoint:

* detection: ``val.bbox.json`` and, where the model has masks, ``val.segm.json``, COCO's result format;
  a report keeps ``matches.bbox.pt`` beside it;
* segmentation: ``val.npz`` with pixel counts by image and class, and label maps of a few images.

The names are the same for both splits: which one it is, the run's spec says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

FOLDER = "predictions"
"""Where a run keeps them."""

COUNTS = "val.npz"
"""Name of a segmentor's file."""

KINDS = ("bbox", "segm")
"""Of a detector: what COCO evaluates."""

_GALLERY = 4
"""Of how many images a segmentor's label maps are kept."""


def detections_file(folder: Path, kind: str) -> Path:
    """A detector's file.

    Args:
        folder: The folder of the predictions.
        kind: ``bbox`` or ``segm``.
    """
    return folder / f"val.{kind}.json"


def matches_file(folder: Path, kind: str) -> Path:
    """Where a report keeps which of a detector's detections are right, image by image."""
    return folder / f"matches.{kind}.pt"


def gallery(names: Iterable[str], count: int = _GALLERY) -> list[str]:
    """The images that a report shows: an arbitrary choice, and the same for every run.

    Nobody picks them, and the first ones would often be of one city: those whose file names, without
    their folders, hash smallest.
    """

    def digest(name: str) -> bytes:
        return hashlib.sha256(name.replace("\\", "/").rsplit("/", 1)[-1].encode()).digest()

    return sorted(names, key=digest)[:count]
