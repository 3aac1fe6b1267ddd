"""From a run's saved predictions to what its metrics are computed from.

Matching boxes takes pycocotools about a minute at the size of COCO, so the matches are kept beside the
predictions, together with what they were made from; a second report reads them only. With them a report can
also be made where the annotations are not.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.predictions import COUNTS, FOLDER, detections_file
from wrs_mm.bench.statistics.bootstrap import ClassMatches, DetectionMatches, SegmentationCounts
from wrs_mm.errors import DatasetError
from wrs_mm.files import write_bytes

KINDS = ("bbox", "segm")
"""What COCO evaluates."""

_MOST = 100
"""Detections an image that AP is computed from, COCO's."""


@dataclass(frozen=True)
class Evaluation:
    """What one network's metrics on the validation images are computed from.

    Attributes:
        prefix: Put before its metrics' names: ``bbox_``, ``segm_``, or nothing for segmentation.
        found: Its matches, or its pixel counts.
        classes: Names, in the order of ``found.by_class()``.
        fingerprint: Of the predictions and the annotations.
    """

    prefix: str
    found: DetectionMatches | SegmentationCounts
    classes: list[str]
    fingerprint: str

    def metrics(self) -> dict[str, float]:
        """The metrics on the images as they are, in percent, by the names that results have."""
        weights = torch.ones(1, len(self.found.image_ids), dtype=torch.float64)
        return {self.prefix + name: float(value) for name, value in self.found.metrics(weights).items()}


def evaluations(run: Run, annotations: Path | None) -> list[Evaluation]:
    """What a run's predictions come to.

    Args:
        run: A run that is done.
        annotations: The validation set's COCO annotations; not needed for a segmentor, nor where the
            matches are saved already.

    Returns:
        One for boxes, one for masks, or one for label maps; none where no predictions were saved.

    Raises:
        DatasetError: The annotations are needed and missing.
    """
    folder = run.folder / FOLDER
    if (folder / COUNTS).is_file():
        return [_read_counts(folder / COUNTS)]
    return [
        _matched(detections_file(folder, kind), kind, annotations)
        for kind in KINDS
        if detections_file(folder, kind).is_file()
    ]


def _read_counts(path: Path) -> Evaluation:
    with np.load(path) as content:
        counts = SegmentationCounts(
            [str(name) for name in content["image_ids"]],
            torch.from_numpy(content["intersect"]),
            torch.from_numpy(content["union"]),
        )
        classes = [str(name) for name in content["classes"]]
    return Evaluation("", counts, classes, _digest(path))


def _matched(predictions: Path, kind: str, annotations: Path | None) -> Evaluation:
    """The saved matches, made anew where predictions or annotations have changed since."""
    saved = predictions.with_name(f"matches.{kind}.pt")
    truth = _digest(annotations) if annotations is not None and annotations.is_file() else None
    source = {"predictions": _digest(predictions), "annotations": truth}
    content = _load(saved)
    if content is not None and truth is None:
        source["annotations"] = content["source"]["annotations"]
    if content is None or content["source"] != source:
        if annotations is None or truth is None:
            raise DatasetError(
                f"{annotations or 'the annotations'} of the validation images are missing; report where "
                "the benchmark ran"
            )
        found, classes = match(annotations, predictions, kind)
        content = {"source": source, "classes": classes, "matches": _plain(found)}
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_bytes(saved, buffer.getvalue())
    fingerprint = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()
    return Evaluation(f"{kind}_", _matches(content["matches"]), content["classes"], fingerprint)


def match(annotations: Path, predictions: Path, kind: str) -> tuple[DetectionMatches, list[str]]:
    """Match detections to objects of all sizes with pycocotools.

    Args:
        annotations: COCO annotations.
        predictions: Detections in COCO's result format.
        kind: ``bbox`` or ``segm``.

    Returns:
        The matches, and the names of their classes.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    detections = json.loads(predictions.read_text())
    # It prints its progress.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        results = truth.loadRes(detections) if detections else _nothing(truth)
        evaluation = COCOeval(truth, results, kind)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [_MOST]
        evaluation.evaluate()
    found = DetectionMatches.from_cocoeval(evaluation)
    return found, [truth.cats[matches.category]["name"] for matches in found.classes]


def _nothing(truth: Any) -> Any:
    """Results of a network that found nothing; pycocotools cannot load an empty list."""
    from pycocotools.coco import COCO

    results = COCO()
    results.dataset = {**truth.dataset, "annotations": []}
    results.createIndex()
    return results


def _plain(found: DetectionMatches) -> dict[str, Any]:
    """As tensors, lists and numbers, which ``torch.load`` reads without running code."""
    return {
        "image_ids": [int(image) for image in found.image_ids],
        "iou_thresholds": torch.from_numpy(np.asarray(found.iou_thresholds)),
        "recall_thresholds": found.recall_thresholds,
        "classes": [asdict(matches) for matches in found.classes],
    }


def _matches(plain: dict[str, Any]) -> DetectionMatches:
    return DetectionMatches(
        plain["image_ids"],
        plain["iou_thresholds"].numpy(),
        plain["recall_thresholds"],
        [ClassMatches(**matches) for matches in plain["classes"]],
    )


def _load(path: Path) -> dict[str, Any] | None:
    """Saved matches; None where there are none, or of an older version."""
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
        _matches(content["matches"])
        return content
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError, UnpicklingError):
        return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
