"""Over images: how far a difference between two trained networks depends on which images were drawn.

A bootstrap resample draws as many validation images as there are, with replacement; image ``i`` then counts
``n_i`` times. AP and mIoU are computed from such counts without matching boxes or comparing pixels again,
and both networks get the same counts, so the difference is paired (Efron and Tibshirani, «An Introduction to
the Bootstrap», 1993). The interval covers the choice of images. It does not cover the seed: two trainings of
one arm may differ by more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from wrs_mm.errors import PlanError

_MOST_NUMBERS = 1 << 21
"""How many counts of detections are worked on at a time: 16 MB of float64."""


@dataclass(frozen=True)
class ClassMatches:
    """The detections of one class, best score first, and which of them hit.

    Attributes:
        category: The class's id in the annotations.
        images: ``(d,)`` index of each detection's image.
        hits: For each IoU threshold, the positions of detections that match an object.
        ignored: For each IoU threshold, the positions of those that count as neither hit nor miss.
        objects: ``(images,)`` number of objects that are not to be ignored.
    """

    category: int
    images: Tensor
    hits: list[Tensor]
    ignored: list[Tensor]
    objects: Tensor


@dataclass(frozen=True)
class DetectionMatches:
    """What AP is computed from: everything about one network's detections but the draws.

    Attributes:
        image_ids: The images, in the order of the draws.
        iou_thresholds: The thresholds, ``(t,)``.
        recall_thresholds: Where precision is looked up, ``(r,)``.
        classes: The classes that have objects.
    """

    image_ids: list[Any]
    iou_thresholds: np.ndarray
    recall_thresholds: Tensor
    classes: list[ClassMatches]

    @classmethod
    def from_cocoeval(cls, evaluation: Any) -> DetectionMatches:
        """Take over the matches that pycocotools found.

        Args:
            evaluation: A ``COCOeval`` after ``evaluate()``; its first area range and largest number of
                detections are used.
        """
        params = evaluation.params
        image_ids = list(params.imgIds)
        first, most = len(image_ids), max(params.maxDets)
        areas = len(params.areaRng)
        classes = []
        for k in range(len(params.catIds)):
            start = k * areas * first
            per_image = evaluation.evalImgs[start : start + first]
            found = [(i, e) for i, e in enumerate(per_image) if e is not None]
            objects = np.zeros(first)
            for i, e in found:
                objects[i] = np.count_nonzero(np.asarray(e["gtIgnore"]) == 0)
            if not objects.any():
                continue
            scores = np.concatenate([e["dtScores"][:most] for _, e in found])
            images = np.concatenate([np.full(len(e["dtScores"][:most]), i) for i, e in found])
            # The sort of COCOeval.accumulate: equal scores keep the order of their images.
            order = np.argsort(-scores, kind="mergesort")
            matched = np.concatenate([e["dtMatches"][:, :most] for _, e in found], axis=1)[:, order] > 0
            ignored = np.concatenate([e["dtIgnore"][:, :most] for _, e in found], axis=1)[:, order] > 0
            classes.append(
                ClassMatches(
                    category=int(params.catIds[k]),
                    images=torch.from_numpy(images[order].astype(np.int64)),
                    hits=[torch.from_numpy(np.flatnonzero(row)) for row in matched & ~ignored],
                    ignored=[torch.from_numpy(np.flatnonzero(row)) for row in ignored],
                    objects=torch.from_numpy(objects),
                )
            )
        return cls(image_ids, params.iouThrs, torch.from_numpy(np.asarray(params.recThrs)), classes)

    def average_precision(self, draws: Tensor) -> Tensor:
        """AP by IoU threshold, as COCOeval computes it on the images repeated ``draws`` times.

        Args:
            draws: How often each image counts, ``(b, images)`` float64.

        Returns:
            ``(b, t)`` in percent: the mean over classes that have an object in the resample.
        """
        total = torch.zeros(len(draws), len(self.iou_thresholds), dtype=torch.float64)
        present = torch.zeros(len(draws), dtype=torch.float64)
        for matches in self.classes:
            objects = draws @ matches.objects
            present += objects > 0
            step = max(1, _MOST_NUMBERS // max(1, len(matches.images)))
            for part in torch.arange(len(draws)).split(step):
                total[part] += self._class_precision(matches, draws[part], objects[part])
        return 100 * total / present[:, None]

    def _class_precision(self, matches: ClassMatches, draws: Tensor, objects: Tensor) -> Tensor:
        """``(b, t)`` AP of one class, 0 where it has no object."""
        counted = draws.index_select(1, matches.images)
        seen = counted.cumsum(1)  # detections up to each one
        recalls = self.recall_thresholds.expand(len(draws), -1).contiguous()
        result = draws.new_zeros(len(draws), len(self.iou_thresholds))
        for t, (hits, ignored) in enumerate(zip(matches.hits, matches.ignored, strict=True)):
            if not len(hits):
                continue
            # Precision has its maxima where a detection hits, so only those positions are looked at.
            hit = counted.index_select(1, hits).cumsum(1)
            shown = seen.index_select(1, hits)
            if len(ignored):
                unseen = counted.index_select(1, ignored).cumsum(1)
                unseen = torch.cat([unseen.new_zeros(len(draws), 1), unseen], 1)
                shown = shown - unseen.index_select(1, torch.searchsorted(ignored, hits))
            precision = hit / (shown + np.spacing(1))
            precision = precision.flip(1).cummax(1).values.flip(1)
            recall = hit / objects.clamp(min=1)[:, None]
            place = torch.searchsorted(recall, recalls)
            reached = place < len(hits)
            found = precision.gather(1, place.clamp(max=len(hits) - 1)) * reached
            result[:, t] = found.mean(1) * (objects > 0)
        return result

    def by_class(self) -> Tensor:
        """AP of each of :attr:`classes` on the images as they are: ``(classes,)`` in percent."""
        draws = torch.ones(1, len(self.image_ids), dtype=torch.float64)
        values = [self._class_precision(m, draws, draws @ m.objects).mean() for m in self.classes]
        return 100 * torch.stack(values) if values else torch.zeros(0, dtype=torch.float64)

    def metrics(self, draws: Tensor) -> dict[str, Tensor]:
        """COCO's AP, AP at IoU 0.50 and at 0.75, under the names that mmdet gives them."""
        ap = self.average_precision(draws)
        named = {"mAP": ap.mean(1)}
        for name, threshold in (("mAP_50", 0.5), ("mAP_75", 0.75)):
            index = np.flatnonzero(np.isclose(self.iou_thresholds, threshold))
            if len(index):
                named[name] = ap[:, int(index[0])]
        return named


@dataclass(frozen=True)
class SegmentationCounts:
    """What mIoU is computed from: pixel counts by image and class.

    Attributes:
        image_ids: The images, in the order of the draws.
        intersect: ``(images, classes)`` pixels of a class that were found.
        union: ``(images, classes)`` pixels that are, or were taken for, that class.
    """

    image_ids: list[Any]
    intersect: Tensor
    union: Tensor

    def metrics(self, draws: Tensor) -> dict[str, Tensor]:
        """MIoU as mmseg computes it: over summed counts; classes that nowhere occur are left out."""
        iou = (draws @ self.intersect.double()) / (draws @ self.union.double())
        return {"mIoU": 100 * iou.nanmean(1)}

    def by_class(self) -> Tensor:
        """IoU of each class: ``(classes,)`` in percent, NaN for one that nowhere occurs."""
        return 100 * self.intersect.double().sum(0) / self.union.double().sum(0)


@dataclass(frozen=True)
class Difference:
    """A paired difference, network minus baseline, in points.

    Attributes:
        value: On the images as they are.
        low: Lower end of the interval.
        high: Upper end.
        resamples: How many made it.
    """

    value: float
    low: float
    high: float
    resamples: int


def paired_bootstrap(
    network: DetectionMatches | SegmentationCounts,
    baseline: DetectionMatches | SegmentationCounts,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    batch: int = 100,
) -> dict[str, Difference]:
    """Intervals for the difference between two networks over the validation images.

    Args:
        network: What the one found.
        baseline: What the other found in the same images.
        resamples: Bootstrap resamples.
        seed: Of the draws.
        confidence: Of the percentile interval.
        batch: Resamples at a time.

    Returns:
        By metric, the difference and its interval.

    Raises:
        PlanError: The two looked at different images.
    """
    if network.image_ids != baseline.image_ids:
        raise PlanError("the two runs were validated on different images; compare runs of one recipe")
    images = len(network.image_ids)

    def differences(draws: Tensor) -> dict[str, Tensor]:
        one, other = network.metrics(draws), baseline.metrics(draws)
        return {name: one[name] - other[name] for name in one.keys() & other.keys()}

    observed = differences(torch.ones(1, images, dtype=torch.float64))
    names = sorted(observed)

    def statistic(indices: np.ndarray, axis: int = -1) -> np.ndarray:
        values = differences(count_draws(np.moveaxis(indices, axis, -1), images))
        return np.stack([values[name].numpy() for name in names])

    found = stats.bootstrap(
        (np.arange(images),),
        statistic,
        n_resamples=resamples,
        batch=batch,
        vectorized=True,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return {
        name: Difference(float(observed[name][0]), float(low[i]), float(high[i]), resamples)
        for i, name in enumerate(names)
    }


def count_draws(indices: np.ndarray, images: int) -> Tensor:
    """How often each image was drawn: ``(b, n)`` indices to ``(b, images)`` float64."""
    rows = np.atleast_2d(indices)
    flat = rows + images * np.arange(len(rows))[:, None]
    return torch.from_numpy(np.bincount(flat.ravel(), minlength=len(rows) * images)).double().view(-1, images)
