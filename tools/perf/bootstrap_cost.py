"""What a paired bootstrap over images costs at the size of COCO val2017: seconds and memory.

Two made-up networks on made-up objects: 5,000 images, 80 classes, 100 detections an image.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import resource
import time
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wrs_mm.bench.statistics.bootstrap import DetectionMatches, paired_bootstrap


def make_objects(images: int, classes: int, rng: np.random.Generator) -> dict[str, Any]:
    """Seven objects an image on average, as in COCO; some classes much more frequent than others."""
    frequency = rng.dirichlet(np.full(classes, 0.5))
    image_of = np.repeat(np.arange(images), rng.poisson(7.3, images))
    count = len(image_of)
    boxes = np.column_stack([rng.uniform(0, 400, (count, 2)), rng.uniform(10, 200, (count, 2))])
    category = rng.choice(classes, count, p=frequency) + 1
    crowd = rng.random(count) < 0.01
    annotations = [
        {"id": i + 1, "image_id": int(image_of[i]), "category_id": int(category[i]),
         "bbox": boxes[i].tolist(), "area": float(boxes[i, 2] * boxes[i, 3]), "iscrowd": int(crowd[i])}
        for i in range(count)
    ]  # fmt: skip
    return {
        "images": [{"id": i, "width": 640, "height": 640} for i in range(images)],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": str(k)} for k in range(classes)],
    }


def make_detections(
    truth: dict[str, Any], per_image: int, share: float, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """A share of the objects, found with an error, and boxes that are nowhere."""
    found = [
        {"image_id": a["image_id"], "category_id": a["category_id"],
         "bbox": (np.array(a["bbox"]) * (1 + rng.normal(0, 0.05, 4))).tolist(),
         "score": float(rng.beta(4, 2))}
        for a in truth["annotations"] if rng.random() < share
    ]  # fmt: skip
    images, classes = len(truth["images"]), len(truth["categories"])
    missing = per_image - np.bincount([d["image_id"] for d in found], minlength=images)
    for image in np.repeat(np.arange(images), missing.clip(0)):
        box = [*rng.uniform(0, 400, 2), *rng.uniform(10, 200, 2)]
        found.append({"image_id": int(image), "category_id": int(rng.integers(classes)) + 1,
                      "bbox": box, "score": float(rng.beta(1, 6))})  # fmt: skip
    return found


def match(truth: dict[str, Any], detections: list[dict[str, Any]]) -> DetectionMatches:
    """Match boxes with pycocotools, over objects of all sizes."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(detections), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
    return DetectionMatches.from_cocoeval(evaluation)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000, help="validation images (%(default)s)")
    parser.add_argument("--classes", type=int, default=80, help="classes (%(default)s)")
    parser.add_argument("--per-image", type=int, default=100, help="detections an image (%(default)s)")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples (%(default)s)")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    truth = make_objects(args.images, args.classes, rng)
    start = time.perf_counter()
    one, other = (match(truth, make_detections(truth, args.per_image, s, rng)) for s in (0.7, 0.72))
    print(f"making and matching both networks' detections, once: {time.perf_counter() - start:.1f} s")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = paired_bootstrap(one, other, resamples=args.resamples)
    print(f"{args.resamples} resamples: {time.perf_counter() - start:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 2**20:.2f} GiB ({before / 2**20:.2f} GiB before the resamples)")
    for name, difference in found.items():
        print(f"{name}: {difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]")


if __name__ == "__main__":
    main()
