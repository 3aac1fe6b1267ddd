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
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import numpy as np
import torch

from wrs_mm.bench.plan.spec import RunSpec, Split
from wrs_mm.bench.plan.splits import CONFIG_PREFIX
from wrs_mm.bench.runs.predictions import COUNTS, KINDS, detections_file, matches_file
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.bootstrap import ClassMatches, DetectionMatches, SegmentationCounts
from wrs_mm.errors import DatasetError, UsageError
from wrs_mm.files import write_bytes
from wrs_mm.openmmlab.configs import evaluator_configs
from wrs_mm.values import several

_MOST_DETECTIONS = 100
"""Detections an image that AP is computed from, COCO's."""

_NAMED = 3
"""Runs that a note names."""

_ROUNDING = 0.06
"""How far a metric in percent may be from the evaluator's, which mmdet rounds to 0.1."""


@dataclass(frozen=True)
class Evaluation:
    """What one network's metrics on the images of a split are computed from.

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
        draws = torch.ones(1, len(self.found.image_ids), dtype=torch.float64)
        return {self.prefix + name: float(value) for name, value in self.found.metrics(draws).items()}


class EvaluatedRun(NamedTuple):
    """A run that is done, and what its predictions come to.

    Attributes:
        spec: What it is.
        task: ``detection``, ``segmentation`` or ``classification``.
        evaluations: For boxes, masks or label maps; empty without saved predictions.
    """

    spec: RunSpec
    task: str
    evaluations: list[Evaluation]


def evaluated_runs(runs: Iterable[RunData]) -> tuple[list[EvaluatedRun], list[str]]:
    """The runs of a benchmark that are done and no trial, with their evaluations on the split they report.

    Args:
        runs: With their details.

    Returns:
        The runs, and a line for each reason why some of them have no usable predictions.
    """
    found: list[EvaluatedRun] = []
    reasons: dict[str, list[str]] = {}
    for run in runs:
        result = run.result
        if result is None or result.status is not Status.DONE or run.spec.trial is not None:
            continue
        kept: list[Evaluation] = []
        try:
            kept = evaluations(run.predictions, annotations_file(run.config or {}, run.spec.split))
            # Classifiers save none, by design.
            if not kept and result.task != "classification":
                reasons.setdefault("no predictions were saved", []).append(run.spec.id)
            for evaluation in list(kept):
                why = _contradiction(evaluation, run.reported)
                if why:
                    reasons.setdefault(why, []).append(run.spec.id)
                    kept.remove(evaluation)
        except UsageError as error:
            reasons.setdefault(str(error), []).append(run.spec.id)
        found.append(EvaluatedRun(run.spec, result.task, kept))
    return found, [f"{_listed(names)}: {reason}" for reason, names in reasons.items()]


def _listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {several(len(names) - _NAMED, 'other run')}" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def annotations_file(config: Mapping[str, Any], split: Split) -> Path | None:
    """The COCO annotations of a split of a resolved config."""
    for evaluator in evaluator_configs(config.get(f"{CONFIG_PREFIX[split]}_evaluator")):
        if evaluator.get("ann_file"):
            return Path(evaluator["ann_file"])
    return None


def _contradiction(evaluation: Evaluation, metrics: Mapping[str, float]) -> str | None:
    """Why predictions cannot be those that a run's metrics were measured on."""
    measured = evaluation.metrics()
    name = next(name for first in ("mAP", "mIoU") if (name := evaluation.prefix + first) in measured)
    value = measured[name]
    if name in metrics and abs(metrics[name] - value) > _ROUNDING:
        return f"its predictions give {name} {value:.2f}, its result says {metrics[name]:.2f}; left out"
    return None


def evaluations(folder: Path, annotations: Path | None) -> list[Evaluation]:
    """What a run's predictions come to.

    Args:
        folder: Of the predictions; it need not exist. Where a pack left detections out, their matches are
            there.
        annotations: The split's COCO annotations; not needed for a segmentor, nor where the
            matches are saved already.

    Returns:
        One for boxes, one for masks, or one for label maps; none where no predictions were saved.

    Raises:
        DatasetError: The annotations are needed and missing.
    """
    if (folder / COUNTS).is_file():
        return [_read_counts(folder / COUNTS)]
    return [evaluation for kind in KINDS if (evaluation := _matched(folder, kind, annotations)) is not None]


def _read_counts(path: Path) -> Evaluation:
    with np.load(path) as content:
        counts = SegmentationCounts(
            [str(name) for name in content["image_ids"]],
            torch.from_numpy(content["intersect"]),
            torch.from_numpy(content["union"]),
        )
        classes = [str(name) for name in content["classes"]]
    return Evaluation("", counts, classes, _digest(path))


def _matched(folder: Path, kind: str, annotations: Path | None) -> Evaluation | None:
    """The saved matches, made anew where predictions or annotations have changed since; None without any."""
    predictions, saved = detections_file(folder, kind), matches_file(folder, kind)
    if not predictions.is_file():
        content = _load(saved)
        return None if content is None else _evaluation(content, kind)
    truth = _digest(annotations) if annotations is not None and annotations.is_file() else None
    source = {"predictions": _digest(predictions), "annotations": truth}
    content = _load(saved)
    if content is not None and truth is None:
        source["annotations"] = content["source"]["annotations"]
    if content is None or content["source"] != source:
        if annotations is None or truth is None:
            raise DatasetError(
                f"{annotations or 'the annotations'} of the images are missing; report where "
                "the benchmark ran"
            )
        found, classes = match_detections(annotations, predictions, kind)
        content = {"source": source, "classes": classes, "matches": _plain(found)}
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_bytes(saved, buffer.getvalue())
    return _evaluation(content, kind)


def _evaluation(content: Mapping[str, Any], kind: str) -> Evaluation:
    """What saved matches come to."""
    fingerprint = hashlib.sha256(json.dumps(content["source"], sort_keys=True).encode()).hexdigest()
    return Evaluation(f"{kind}_", _matches(content["matches"]), content["classes"], fingerprint)


def match_detections(annotations: Path, predictions: Path, kind: str) -> tuple[DetectionMatches, list[str]]:
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
        evaluation.params.maxDets = [_MOST_DETECTIONS]
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
