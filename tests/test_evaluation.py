"""mmdet's CocoMetric and mmseg's IoUMetric agree with average precision and IoU computed here from their
definitions, in plain NumPy, on images of the mini sets with perturbed ground truth as predictions.

What is shared with pycocotools is how a segmentation of an annotation becomes a mask; matching,
ignored regions, areas, limits on detections, interpolation and averaging are written anew.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wrs_mm.datasets import mini_detection, mini_segmentation
from wrs_mm.datasets.check_coco import categories

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"": (0, 1e10), "_s": (0, 32**2), "_m": (32**2, 96**2), "_l": (96**2, 1e10)}
CLASSES = tuple(categories().values())
USED = (5, 32, 79)
"""Classes that the test's objects belong to; their identifiers in COCO are 6, 37 and 90."""


# Average precision, from its definition.


@dataclass
class Objects:
    """Objects of one image, annotated or detected.

    Attributes:
        regions: Boxes (x, y, width, height), float64 of shape (n, 4), or masks, bool of shape
            (n, height, width).
        labels: Class indices, shape (n,).
        areas: What decides whether an object is small, medium or large, shape (n,).
        scores: Confidences of detections; zeros for annotations, shape (n,).
        crowd: Whether an annotation is a crowd region, shape (n,).
    """

    regions: NDArray[Any]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    scores: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def select(self, index: NDArray[Any]) -> Objects:
        return Objects(*(value[index] for value in vars(self).values()))


def overlaps(detected: Objects, annotated: Objects) -> NDArray[np.float64]:
    """IoU of every detection with every annotation; for crowds, the share of the detection inside."""
    if detected.regions.ndim == 3:
        first = detected.regions.reshape(len(detected.regions), math.prod(detected.regions.shape[1:])) * 1.0
        second = annotated.regions.reshape(len(annotated.regions), first.shape[1]) * 1.0
        inner = first @ second.T
        sizes, others = first.sum(axis=1), second.sum(axis=1)
    else:
        first, second = detected.regions[:, None], annotated.regions[None]
        low = np.maximum(first[..., :2], second[..., :2])
        high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
        inner = np.maximum(high - low, 0).prod(axis=-1)
        sizes, others = (objects.regions[:, 2:].prod(axis=1) for objects in (detected, annotated))
    whole = np.where(annotated.crowd, sizes[:, None], sizes[:, None] + others - inner)
    return inner / whole


def outcomes(
    overlap: NDArray[np.float64],
    ignored: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    threshold: float,
) -> NDArray[np.float64]:
    """Judge the detections of one image and class, best first: 1 right, 0 wrong, NaN not counted.

    Each takes the annotation that it overlaps most among those that count and are free; failing
    that, one that does not count, which a crowd may be for any number of detections. What finds none
    is wrong, unless it is outside of the range of areas.
    """
    free = np.ones(len(ignored), bool)
    judged = np.where(outside, np.nan, 0.0)
    for index, row in enumerate(overlap):
        for pool, value in ((free & ~ignored, 1.0), ((free | crowd) & ignored, np.nan)):
            candidates = np.flatnonzero(pool & (row >= threshold))
            if len(candidates):
                best = candidates[np.argmax(row[candidates])]
                free[best] = False
                judged[index] = value
                break
    return judged


def interpolated_precision(right: NDArray[np.float64], total: int) -> float:
    """Mean over 101 recalls of the best precision at that recall or above."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    recall = hits / total
    reached = [precision[recall >= level] for level in RECALLS]
    return float(np.mean([values.max() if len(values) else 0.0 for values in reached]))


def average_precision(
    images: list[tuple[Objects, Objects]], area: tuple[float, float], thresholds: NDArray[Any], most: int
) -> float:
    """Mean over classes and thresholds; −1 where no annotation counts.

    Args:
        images: Annotations and detections of each image.
        area: Range of areas, both ends included.
        thresholds: Of the overlap.
        most: How many detections of an image and class count.
    """
    values = []
    for label in range(len(CLASSES)):
        cases, scores, total = [], [], 0
        for annotated, detected in images:
            truth = annotated.select(annotated.labels == label)
            found = detected.select(detected.labels == label)
            found = found.select(np.argsort(-found.scores)[:most])
            ignored = truth.crowd | (truth.areas < area[0]) | (truth.areas > area[1])
            outside = (found.areas < area[0]) | (found.areas > area[1])
            total += int((~ignored).sum())
            cases.append((overlaps(found, truth), ignored, truth.crowd, outside))
            scores.append(found.scores)
        order = np.argsort(-np.concatenate(scores))
        for threshold in thresholds if total else []:
            judged = np.concatenate([outcomes(*case, threshold) for case in cases])[order]
            values.append(interpolated_precision(judged[~np.isnan(judged)], total))
    return float(np.mean(values)) if values else -1.0


def expected(images: list[tuple[Objects, Objects]]) -> dict[str, float]:
    """The six numbers of COCO. The first counts 100 detections, the others, as mmdet sets it, 1000."""
    everything = AREAS[""]
    scores = {
        "mAP": average_precision(images, everything, THRESHOLDS, 100),
        "mAP_50": average_precision(images, everything, THRESHOLDS[:1], 1000),
        "mAP_75": average_precision(images, everything, THRESHOLDS[5:6], 1000),
    }
    for name in ("_s", "_m", "_l"):
        scores[f"mAP{name}"] = average_precision(images, AREAS[name], THRESHOLDS, 1000)
    return scores


# Images of mini-coco, some enlarged, with crowds, and detections of them.


@dataclass
class Scene:
    """One image of the test: what is in it, and what a bad detector finds."""

    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    annotations: list[dict[str, Any]]
    found_boxes: NDArray[np.float32]
    found_masks: NDArray[np.bool_]
    found_labels: NDArray[np.int64]
    found_scores: NDArray[np.float32]

    def objects(self, kind: str) -> tuple[Objects, Objects]:
        """Annotations and detections, as boxes (``bbox``) or masks (``segm``)."""
        boxes = self.found_boxes.astype(float)
        boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        given = np.array([entry["bbox"] for entry in self.annotations], float).reshape(-1, 4)
        areas = np.array([entry["area"] for entry in self.annotations], float)
        nothing = np.zeros(len(areas))
        masks = kind == "segm"
        found_areas = self.found_masks.sum(axis=(1, 2)).astype(float) if masks else boxes[:, 2:].prod(axis=1)
        return (
            Objects(self.masks if masks else given, self.labels, areas, nothing, self.crowd),
            Objects(
                self.found_masks if masks else boxes,
                self.found_labels,
                found_areas,
                self.found_scores.astype(float),
                np.zeros(len(boxes), bool),
            ),
        )


def make_scene(index: int) -> Scene:
    """One image with its detections: jittered, doubled, mislabeled, missed and made up."""
    rng = np.random.default_rng([7, index])
    _, objects = mini_detection.render_image(rng)
    size = mini_detection.SIZE
    # Objects of the mini set are small and medium; four times as large they are medium and large.
    factor = 4 if index % 3 == 0 else 1
    masks = np.array([np.kron(mask, np.ones((factor, factor), bool)) for _, mask in objects])
    labels = np.array([USED[category % len(USED)] for category, _ in objects])
    crowd = rng.uniform(size=len(labels)) < 0.2
    annotations = [mini_detection.annotate(mask) for mask in masks]
    for annotation, is_crowd in zip(annotations, crowd, strict=True):
        annotation["iscrowd"] = int(is_crowd)
    boxes, shapes, classes, scores = [], [], [], []
    for mask, label, annotation in zip(masks, labels, annotations, strict=True):
        x, y, width, height = annotation["bbox"]
        for _ in range(int(rng.choice([0, 1, 1, 1, 2, 3]))):
            shift = rng.normal(0, 0.07, 4) * [width, height, width, height]
            boxes.append(np.array([x, y, x + width, y + height]) + shift)
            shapes.append(np.roll(mask, rng.integers(-3, 4, 2) * factor, axis=(0, 1)))
            classes.append(int(rng.choice(USED)) if rng.uniform() < 0.15 else label)
            scores.append(rng.uniform(0.05, 0.6) if index == 1 else rng.uniform(0.3, 1))
    # One image has more wrong detections of one class than the limit of 100, most of them sure.
    for _ in range(130 if index == 1 else 4):
        x, y = rng.uniform(0, size * factor - 20, 2)
        width, height = rng.uniform(4, 20, 2)
        boxes.append(np.array([x, y, x + width, y + height]))
        shape = np.zeros(masks[0].shape, bool)
        shape[int(y) : int(y + height), int(x) : int(x + width)] = True
        shapes.append(shape)
        classes.append(labels[0] if index == 1 else int(rng.choice(USED)))
        scores.append(rng.uniform(0.6, 0.9) if index == 1 else rng.uniform(0, 0.9))
    return Scene(
        masks,
        labels,
        crowd,
        annotations,
        np.array(boxes, np.float32),
        np.array(shapes),
        np.array(classes),
        np.array(scores, np.float32),
    )


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(index) for index in range(20)]


def write_annotations(scenes: list[Scene], path: Path) -> None:
    identifiers = list(categories())
    images, annotations = [], []
    for index, scene in enumerate(scenes, 1):
        height, width = scene.masks.shape[1:]
        images.append({"id": index, "file_name": f"{index}.jpg", "width": width, "height": height})
        for entry, label in zip(scene.annotations, scene.labels, strict=True):
            own = {"id": len(annotations) + 1, "image_id": index, "category_id": identifiers[label]}
            annotations.append({**entry, **own})
    listed = [{"id": identifier, "name": name} for identifier, name in categories().items()]
    content = {"info": {}, "images": images, "annotations": annotations, "categories": listed}
    path.write_text(json.dumps(content))


def test_coco_metric_agrees_with_average_precision_from_its_definition(
    scenes: list[Scene], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mmdet.evaluation.metrics.coco_metric as module
    from pycocotools.coco import COCO

    evaluations = {}

    class Watched(module.COCOeval):
        """Keeps itself, because CocoMetric rounds what it returns to three decimals."""

        def summarize(self) -> None:
            super().summarize()
            evaluations[self.params.iouType] = self

    monkeypatch.setattr(module, "COCOeval", Watched)
    path = tmp_path / "annotations.json"
    write_annotations(scenes, path)
    metric = module.CocoMetric(ann_file=str(path), metric=["bbox", "segm"])
    metric.dataset_meta = {"classes": CLASSES}
    for index, scene in enumerate(scenes, 1):
        predictions = {
            "bboxes": torch.from_numpy(scene.found_boxes),
            "labels": torch.from_numpy(scene.found_labels),
            "scores": torch.from_numpy(scene.found_scores),
            "masks": torch.from_numpy(scene.found_masks),
        }
        sample = {"pred_instances": predictions, "img_id": index, "ori_shape": scene.masks.shape[1:]}
        metric.process({}, [sample])
    returned = metric.evaluate(len(scenes))

    # Masks as pycocotools reads them from the file: a polygon's pixels are its matter.
    coco = COCO(str(path))
    for index, scene in enumerate(scenes, 1):
        entries = coco.loadAnns(coco.getAnnIds(imgIds=[index]))
        scene.masks = np.array([coco.annToMask(entry).astype(bool) for entry in entries])
    for kind in ("bbox", "segm"):
        images = [scene.objects(kind) for scene in scenes]
        scores = expected(images)
        assert scores["mAP_50"] > scores["mAP"] > 0.1
        assert list(evaluations[kind].stats[:6]) == pytest.approx(list(scores.values()), abs=1e-9)
        for name, value in scores.items():
            assert returned[f"coco/{kind}_{name}"] == pytest.approx(value, abs=0.0005 + 1e-9)


def test_the_detections_exercise_crowds_every_area_and_the_limit(scenes: list[Scene]) -> None:
    images = [scene.objects("bbox") for scene in scenes]
    areas = np.concatenate([truth.areas[~truth.crowd] for truth, _ in images])
    assert all(((areas >= low) & (areas <= high)).sum() > 3 for low, high in AREAS.values())
    plain = average_precision(images, AREAS[""], THRESHOLDS, 100)
    assert plain != average_precision(images, AREAS[""], THRESHOLDS, 1000)
    for truth, _ in images:
        truth.crowd[:] = False
    assert plain != average_precision(images, AREAS[""], THRESHOLDS, 100)


def test_average_precision_of_a_case_done_by_hand() -> None:
    # Right, wrong, right of four: precision 1 up to recall 1/4 (26 levels), 2/3 up to 1/2 (25), then 0.
    by_hand = (26 * 1 + 25 * 2 / 3) / 101
    assert interpolated_precision(np.array([1.0, 0.0, 1.0]), 4) == pytest.approx(by_hand, abs=1e-12)


# IoU, from its definition.


def test_iou_metric_agrees_with_iou_from_its_definition() -> None:
    from mmseg.evaluation import IoUMetric

    rng = np.random.default_rng(5)
    pairs = []
    for index in range(6):
        _, labels = mini_segmentation.render_scene(rng, mini_segmentation.RARE[index % 5])
        # A class that occurs nowhere must not count, neither as right nor as wrong.
        labels[labels == mini_segmentation.TRAIN] = mini_segmentation.IGNORE
        guess = np.where(labels == mini_segmentation.IGNORE, 0, labels)
        for _ in range(40):
            top, left = rng.integers(0, 100), rng.integers(0, 220)
            other = int(rng.choice([c for c in range(19) if c != mini_segmentation.TRAIN]))
            guess[top : top + rng.integers(4, 30), left : left + rng.integers(4, 40)] = other
        pairs.append((labels, guess))

    confusion = np.zeros((19, 19), np.int64)
    for labels, guess in pairs:
        seen = labels != mini_segmentation.IGNORE
        np.add.at(confusion, (labels[seen].astype(int), guess[seen].astype(int)), 1)
    right = np.diag(confusion).astype(float)
    labeled, guessed = confusion.sum(axis=1), confusion.sum(axis=0)
    occurring = labeled + guessed > 0
    assert not occurring[mini_segmentation.TRAIN] and occurring.sum() == 18
    iou = right[occurring] / (labeled + guessed - right)[occurring]
    accuracy = right[labeled > 0] / labeled[labeled > 0]
    wanted = {
        "aAcc": 100 * right.sum() / labeled.sum(),
        "mIoU": 100 * iou.mean(),
        "mAcc": 100 * accuracy.mean(),
    }

    metric = IoUMetric(iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": [str(index) for index in range(19)]}
    unrounded = {}
    total = metric.total_area_to_metrics

    def watched(*args: Any, **kwargs: Any) -> dict[str, Any]:
        """Keeps what IoUMetric computes before it rounds to two decimals."""
        unrounded.update(total(*args, **kwargs))
        return dict(unrounded)

    metric.total_area_to_metrics = watched
    for labels, guess in pairs:
        sample = {
            "gt_sem_seg": {"data": torch.from_numpy(labels.astype(np.int64))[None]},
            "pred_sem_seg": {"data": torch.from_numpy(guess.astype(np.int64))[None]},
        }
        metric.process({}, [sample])
    returned = metric.evaluate(len(pairs))

    assert 20 < wanted["mIoU"] < 90
    # mmseg counts and divides in float32.
    assert 100 * unrounded["aAcc"] == pytest.approx(wanted["aAcc"], rel=1e-6)
    assert 100 * np.nanmean(unrounded["IoU"]) == pytest.approx(wanted["mIoU"], rel=1e-6)
    assert 100 * np.nanmean(unrounded["Acc"]) == pytest.approx(wanted["mAcc"], rel=1e-6)
    for name, value in wanted.items():
        assert returned[name] == pytest.approx(value, abs=0.005 + 1e-4)
