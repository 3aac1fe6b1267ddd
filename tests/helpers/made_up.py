"""A benchmark that nobody ran: a work dir with results, logs and predictions, for tests of what reads it.

Names are what users could write at their worst.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.report.files import Report
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.predictions import FOLDER
from wrs_mm.bench.runs.records import Best, Identity, Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.evaluations import evaluations

EVIL = "<script>document.title='broken'</script>"
DETECTOR = f"det {EVIL} & 50%_{{$}}"
SEGMENTOR = "seg"
CLASSES = ("disc", "a <b>square</b>", "ring")
IMAGES = 8
SIZE = (64, 48)
QUALITY = {"none": 0.5, "wd": 0.6, "wrs": 0.7}


class Benchmark(NamedTuple):
    """A work dir, what was found in it, and the page's text."""

    work_dir: WorkDir
    report: Report
    page: str


def make_work_dir(path: Path, seeds: int = 3) -> WorkDir:
    """A work dir with a detector and a segmentor, three arms; of ``none`` one run of each has diverged."""
    data = path.parent / f"{path.name}-data"
    _make_images(data)
    work_dir = WorkDir(path)
    path.mkdir(parents=True)
    specs = [
        RunSpec(
            recipe=recipe, regularizer=arm, options={}, optimizer="recipe", seed=seed, baseline=arm == "wd"
        )
        for seed in range(seeds)
        for recipe in (DETECTOR, SEGMENTOR)
        for arm in QUALITY
    ]
    work_dir.register(f"A plan {EVIL}", specs)
    (path / "plan.yaml").write_text(f"name: A plan {EVIL}\n")
    for number, spec in enumerate(specs):
        _make_run(work_dir.run(spec), spec, data, number)
    return work_dir


def _make_run(run: Run, spec: RunSpec, data: Path, number: int) -> None:
    task = "detection" if spec.recipe == DETECTOR else "segmentation"
    text = f"""
default_scope = {"mmdet" if task == "detection" else "mmseg"!r}
val_dataloader = dict(dataset=dict(data_root={str(data)!r}, data_prefix=dict(img='val')))
val_evaluator = dict(type='CocoMetric', ann_file={str(data / "truth.json")!r})
optim_wrapper = dict(type={spec.regularizer!r}, optimizer=dict(lr=0.1))
randomness = dict(seed={spec.seed})
"""
    identity = Identity(spec=spec, task=task, dataset="made up", config_hash="0")
    run.prepare(identity, text)
    quality = QUALITY[spec.regularizer] + 0.03 * np.random.default_rng(number).normal()
    diverged = spec.regularizer == "none" and spec.seed == 1
    write_log(run, "20261123_100000", range(10, 100, 10), quality)
    if diverged:
        result = Result(
            status=Status.DIVERGED, task=task, dataset="made up", iteration=93, reason="the loss is nan"
        )
        run.write_result(result)
        return
    rng = np.random.default_rng(number)
    folder = run.folder / FOLDER
    folder.mkdir()
    if task == "detection":
        detections = _detections(json.loads((data / "truth.json").read_text()), quality, rng)
        (folder / "val.bbox.json").write_text(json.dumps(detections))
    else:
        _segment(folder, data, quality, rng)
    (evaluation,) = evaluations(folder, data / "truth.json")
    metrics = {name: round(value, 1) for name, value in evaluation.metrics().items()}
    first = next(iter(metrics))
    scale = 100 if task == "detection" else 1
    history = [
        {"iteration": step, "metrics": {f"coco/{k}": v / scale * step / 100 for k, v in metrics.items()}}
        for step in (50, 100)
    ]
    run.validations.write_text(json.dumps(history))
    run.write_result(
        Result(
            status=Status.DONE,
            task=task,
            dataset="made up",
            metrics=metrics,
            best=Best(
                metrics={name: value + 0.1 for name, value in metrics.items()}, iteration=50, key=first
            ),
            predictions=FOLDER,
            iteration=100,
            seconds=61.0,
            peak_memory=512.0,
            threads=1,
            device="cpu",
            versions={"python": "3.11", "torch": "2.14"},
        )
    )


def write_log(run: Run, attempt: str, steps: Any, quality: float) -> None:
    """The log of one attempt at a training, as mmengine writes it."""
    folder = run.folder / attempt / "vis_data"
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"lr": 0.1, "loss": 1 - quality + math.exp(-step / 30), "step": step}) for step in steps
    ]
    (folder / "scalars.json").write_text(
        "\n".join(lines) + '\n{"coco/bbox_mAP": 0.1, "step": 1}\n{"loss": 0.'
    )


def _make_images(data: Path) -> None:
    rng = np.random.default_rng(0)
    (data / "val").mkdir(parents=True)
    truth: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
    }
    for number in range(IMAGES):
        name = f"{number} {'<img src=x onerror=alert(1)>' if number % 2 else ''}.png"
        image = Image.new("RGB", SIZE, (70, 90, 110))
        draw = ImageDraw.Draw(image)
        truth["images"].append({"id": number + 1, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        for _ in range(3):
            x, y, w, h = (int(v) for v in (rng.integers(0, 40), rng.integers(0, 26), *rng.integers(9, 20, 2)))
            draw.ellipse((x, y, x + w, y + h), fill=tuple(int(c) for c in rng.integers(90, 250, 3)))
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number + 1,
                    "category_id": int(rng.integers(1, len(CLASSES) + 1)),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
        image.save(data / "val" / name)
    (data / "truth.json").write_text(json.dumps(truth))


def _detections(truth: dict[str, Any], quality: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    found = [
        {
            "image_id": a["image_id"],
            "category_id": a["category_id"],
            "bbox": (np.array(a["bbox"]) * (1 + rng.normal(0, 0.04, 4))).tolist(),
            "score": float(rng.beta(4, 2)),
        }
        for a in truth["annotations"]
        if rng.random() < quality
    ]
    for _ in range(IMAGES):
        found.append(
            {
                "image_id": int(rng.integers(1, IMAGES + 1)),
                "category_id": int(rng.integers(1, len(CLASSES) + 1)),
                "bbox": [*rng.uniform(0, 30, 2), *rng.uniform(8, 20, 2)],
                "score": float(rng.beta(1, 3)),
            }
        )
    return found


def _segment(folder: Path, data: Path, quality: float, rng: np.random.Generator) -> None:
    """The predictions of a segmentor, through the metric that keeps them."""
    from wrs_mm.bench.runs.iou_recorder import RecordingIoUMetric

    metric = RecordingIoUMetric(folder=str(folder), iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": CLASSES, "palette": None}
    truth_rng = np.random.default_rng(99)
    samples = []
    for path in sorted((data / "val").iterdir()):
        truth = np.kron(truth_rng.integers(0, len(CLASSES), (6, 8)), np.ones((8, 8), np.int64))
        truth[:4, :4] = 255
        wrong = rng.random(truth.shape) > quality
        predicted = np.where(wrong, rng.integers(0, len(CLASSES), truth.shape), truth)
        predicted[truth == 255] = 0
        samples.append(
            {
                "img_path": str(path),
                "pred_sem_seg": {"data": torch.from_numpy(predicted)[None]},
                "gt_sem_seg": {"data": torch.from_numpy(truth)[None]},
            }
        )
    metric.process({}, samples[:5])
    metric.process({}, samples[5:])
    metric.evaluate(len(samples))
