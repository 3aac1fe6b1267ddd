"""What a network predicted at its last validation, on disk beside its run.

The metrics of a run are averages over all validation images. Which images they depend on
(:mod:`wrs_mm.bench.statistics.over_images`), which classes, and what the network gets wrong can only be
said from its predictions. The toolboxes' own evaluators write them, at each validation over those of the
one before, so what remains belongs to the last checkpoint:

* detection: ``val.bbox.json`` and, where the model has masks, ``val.segm.json``, COCO's result format;
* segmentation: ``val.npz`` with pixel counts by image and class, and label maps of a few images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

FOLDER = "predictions"
"""Where a run keeps them."""

COUNTS = "val.npz"
"""Name of a segmentor's file."""

GALLERY = 4
"""Of how many images a segmentor's label maps are kept."""


def detections_file(folder: Path, kind: str) -> Path:
    """A detector's file.

    Args:
        folder: The folder of the predictions.
        kind: ``bbox`` or ``segm``.
    """
    return folder / f"val.{kind}.json"


def save_predictions(config: Config, folder: Path) -> bool:
    """Let a config's evaluators keep what the network predicts; its metrics stay as they are.

    Args:
        config: A complete config; changed in place.
        folder: Where the predictions go; it is made when they are written.

    Returns:
        Whether there is an evaluator that can keep them: mmdet's ``CocoMetric`` or mmseg's ``IoUMetric``.
    """
    evaluators = config.get("val_evaluator")
    found = False
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        name = _name(evaluator.get("type")) if evaluator else ""
        if name == "CocoMetric":
            evaluator["outfile_prefix"] = str(folder / "val")
            found = True
        elif name == "IoUMetric" and not evaluator.get("format_only", False):
            # Imported for its registration.
            from wrs_mm.bench.runs import iou_recorder

            evaluator["type"] = iou_recorder.RecordingIoUMetric.__name__
            evaluator["folder"] = str(folder)
            found = True
    return found


def gallery(names: Iterable[str], count: int = GALLERY) -> list[str]:
    """The images that a report shows: an arbitrary choice, and the same for every run.

    Nobody picks them, and the first ones would often be of one city: those whose file names, without
    their folders, hash smallest.
    """

    def digest(name: str) -> bytes:
        return hashlib.sha256(name.replace("\\", "/").rsplit("/", 1)[-1].encode()).digest()

    return sorted(names, key=digest)[:count]


def _name(kind: Any) -> str:
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.rsplit(".", 1)[-1]
