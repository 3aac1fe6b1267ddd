from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wrs_mm.bench.statistics.bootstrap import (
    DetectionMatches,
    SegmentationCounts,
    count_draws,
    paired_bootstrap,
)
from wrs_mm.errors import PlanError

IMAGES, CLASSES = 30, 4


def _annotations(seed: int) -> dict[str, Any]:
    """Objects in images, some of them crowds; image 0 holds none, class 4 nobody ever draws."""
    rng = np.random.default_rng(seed)
    annotations: list[dict[str, Any]] = []
    for image in range(1, IMAGES):
        for _ in range(rng.poisson(3)):
            x, y, w, h = (*rng.uniform(0, 60, 2), *rng.uniform(5, 40, 2))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(rng.integers(1, CLASSES)),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
    return {
        "images": [{"id": i, "width": 100, "height": 100} for i in range(IMAGES)],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": str(k)} for k in range(CLASSES)],
    }


def _detections(truth: dict[str, Any], seed: int, decimals: int = 9) -> list[dict[str, Any]]:
    """Objects found with an error, and boxes that are nowhere."""
    rng = np.random.default_rng(seed)
    found = [
        {
            "image_id": a["image_id"],
            "category_id": a["category_id"],
            "bbox": (np.array(a["bbox"]) * (1 + rng.normal(0, 0.08, 4))).tolist(),
            "score": round(float(rng.beta(3, 2)), decimals),
        }
        for a in truth["annotations"]
        if rng.random() < 0.8
    ]
    for _ in range(4 * IMAGES):
        found.append(
            {
                "image_id": int(rng.integers(IMAGES)),
                "category_id": int(rng.integers(1, CLASSES + 1)),
                "bbox": [*rng.uniform(0, 60, 2), *rng.uniform(5, 40, 2)],
                "score": round(float(rng.beta(2, 3)), decimals),
            }
        )
    return found


def _evaluate(truth: dict[str, Any], detections: list[dict[str, Any]]) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(detections)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _repeated(
    truth: dict[str, Any], detections: list[dict[str, Any]], weights: np.ndarray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data set in which image ``i`` stands ``weights[i]`` times under different ids."""
    drawn: dict[str, Any] = {"images": [], "annotations": [], "categories": truth["categories"]}
    found = []
    for image, times in enumerate(weights):
        for _ in range(int(times)):
            new = len(drawn["images"])
            drawn["images"].append({**truth["images"][image], "id": new})
            for a in truth["annotations"]:
                if a["image_id"] == image:
                    drawn["annotations"].append({**a, "image_id": new, "id": len(drawn["annotations"]) + 1})
            found += [{**d, "image_id": new} for d in detections if d["image_id"] == image]
    return drawn, found


@pytest.mark.parametrize("decimals", [9, 1])
@pytest.mark.parametrize("seed", [0, 1])
def test_with_all_weights_one_ap_is_that_of_pycocotools(seed: int, decimals: int) -> None:
    """With one decimal, many detections share their score."""
    truth = _annotations(seed)
    evaluation = _evaluate(truth, _detections(truth, seed + 10, decimals))
    found = DetectionMatches.from_cocoeval(evaluation).metrics(torch.ones(1, IMAGES, dtype=torch.float64))
    values = [float(found[name]) for name in ("mAP", "mAP_50", "mAP_75")]
    assert values == pytest.approx(100 * evaluation.stats[:3], abs=1e-9)
    assert 5 < values[0] < 95


def test_with_weights_ap_is_that_of_pycocotools_on_repeated_images() -> None:
    truth = _annotations(3)
    detections = _detections(truth, 4)
    matches = DetectionMatches.from_cocoeval(_evaluate(truth, detections))
    weights = count_draws(np.random.default_rng(5).integers(0, IMAGES, (6, IMAGES)), IMAGES)
    found = matches.metrics(weights)
    for row, weight in enumerate(weights):
        stats = _evaluate(*_repeated(truth, detections, weight.numpy())).stats
        values = [float(found[name][row]) for name in ("mAP", "mAP_50", "mAP_75")]
        # A repeated image's detections tie; between two that tie, recall is passed in two steps, not in one.
        assert values == pytest.approx(100 * stats[:3], abs=0.5)


def test_weights_of_disjoint_subsets_are_exact() -> None:
    """Weights 0 and 1 make no ties, so they must be pycocotools on the subset, exactly."""
    truth = _annotations(6)
    detections = _detections(truth, 7)
    matches = DetectionMatches.from_cocoeval(_evaluate(truth, detections))
    weights = (np.random.default_rng(8).random((5, IMAGES)) < 0.6).astype(float)
    found = matches.metrics(torch.from_numpy(weights))
    for row, weight in enumerate(weights):
        stats = _evaluate(*_repeated(truth, detections, weight)).stats
        values = [float(found[name][row]) for name in ("mAP", "mAP_50", "mAP_75")]
        assert values == pytest.approx(100 * stats[:3], abs=1e-9)


def _label_maps(seed: int, flip: float, classes: int = 5) -> list[tuple[torch.Tensor, torch.Tensor]]:
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(12):
        truth = rng.integers(0, classes, (16, 16))
        wrong = rng.random(truth.shape) < flip
        prediction = np.where(wrong, rng.integers(0, classes, truth.shape), truth)
        truth[rng.random(truth.shape) < 0.1] = 255
        maps.append((torch.from_numpy(prediction), torch.from_numpy(truth)))
    return maps


def test_with_all_weights_one_miou_is_that_of_mmseg() -> None:
    from mmseg.evaluation import IoUMetric

    import wrs_mm  # noqa: F401

    classes = 6  # one of them occurs nowhere
    counts = [IoUMetric.intersect_and_union(p, t, classes, 255) for p, t in _label_maps(0, 0.4)]
    # In float64: mmseg itself sums in float32.
    totals = [torch.stack(column).double().sum(0) for column in zip(*counts, strict=True)]
    reference = IoUMetric.total_area_to_metrics(*totals, metrics=["mIoU"])
    ours = SegmentationCounts(
        image_ids=list(range(len(counts))),
        intersect=torch.stack([c[0] for c in counts]),
        union=torch.stack([c[1] for c in counts]),
    )
    value = ours.metrics(torch.ones(1, len(counts), dtype=torch.float64))["mIoU"]
    assert float(value) == pytest.approx(100 * float(np.nanmean(reference["IoU"])), abs=1e-9)


def test_image_weights_count_the_draws() -> None:
    weights = count_draws(np.array([[0, 0, 2], [1, 1, 1]]), 3)
    assert weights.tolist() == [[2, 0, 1], [0, 3, 0]]


def test_a_network_does_not_differ_from_itself() -> None:
    truth = _annotations(0)
    matches = DetectionMatches.from_cocoeval(_evaluate(truth, _detections(truth, 1)))
    for difference in paired_bootstrap(matches, matches, resamples=50).values():
        assert difference.value == difference.low == difference.high == 0


def test_the_same_seed_gives_the_same_interval() -> None:
    truth = _annotations(0)
    one, other = (
        DetectionMatches.from_cocoeval(_evaluate(truth, _detections(truth, seed))) for seed in (1, 2)
    )
    first = paired_bootstrap(one, other, resamples=50, seed=3)
    assert first == paired_bootstrap(one, other, resamples=50, seed=3, batch=7)
    assert first["mAP"].low < first["mAP"].high


def test_other_images_are_refused() -> None:
    counts = torch.ones(2, 3)
    with pytest.raises(PlanError, match="different images"):
        paired_bootstrap(
            SegmentationCounts([1, 2], counts, counts), SegmentationCounts([1, 3], counts, counts)
        )


@pytest.mark.slow
def test_95_percent_intervals_contain_the_difference_in_93_to_97_percent_of_2000_trials() -> None:
    """Two networks that find 60 % and 57 % of two classes' pixels; images differ in size and hardness."""
    rng = np.random.default_rng(0)
    images, trials, covered = 200, 2000, 0
    for trial in range(trials):
        union = rng.integers(50, 150, (images, 2))
        hardness = rng.normal(0, 0.1, (images, 1))  # both networks feel it
        intersect = [
            union * np.clip(share + hardness + rng.normal(0, 0.05, (images, 2)), 0, 1)
            for share in (0.6, 0.57)
        ]
        one, other = (
            SegmentationCounts(list(range(images)), torch.from_numpy(i), torch.from_numpy(union))
            for i in intersect
        )
        found = paired_bootstrap(one, other, resamples=500, seed=trial, batch=500)["mIoU"]
        covered += found.low <= 3.0 <= found.high
    assert 0.93 <= covered / trials <= 0.97
