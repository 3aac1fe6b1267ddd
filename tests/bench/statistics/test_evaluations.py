"""Saved predictions, and what they come to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.predictions import FOLDER
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics import evaluations as module
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.evaluations import evaluated_runs, evaluations, match_detections
from wrs_mm.errors import DatasetError


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A detector's run: of three objects in two images it found two, one of them not well."""
    folder = tmp_path / "run" / FOLDER
    folder.mkdir(parents=True)
    boxes = [(1, 1, [10, 10, 20, 20]), (1, 2, [50, 50, 20, 20]), (2, 2, [30, 30, 40, 40])]
    truth = {
        "images": [{"id": i, "width": 100, "height": 100} for i in (1, 2)],
        "categories": [{"id": 1, "name": "ring"}, {"id": 2, "name": "disc"}, {"id": 3, "name": "never"}],
        "annotations": [
            {"id": n + 1, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for n, (i, c, b) in enumerate(boxes)
        ],
    }
    found = [
        {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.9},
        {"image_id": 1, "category_id": 2, "bbox": [50, 50, 20, 13], "score": 0.8},
    ]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (folder / "val.bbox.json").write_text(json.dumps(found))
    return Run(tmp_path / "run")


def _truth(run: Run) -> Path:
    return run.folder.parent / "truth.json"


def test_ap_by_class_and_over_classes(run):
    (evaluation,) = evaluations(run.folder / FOLDER, _truth(run))
    by_class = dict(zip(evaluation.classes, evaluation.found.by_class().tolist(), strict=True))
    # The disc's box covers 0.65 of it: a hit at 0.50, 0.55, 0.60 and 0.65, at a recall of one half.
    assert by_class == pytest.approx({"ring": 100.0, "disc": 100 * 0.4 * 51 / 101})
    assert evaluation.metrics()["bbox_mAP"] == pytest.approx((100 + by_class["disc"]) / 2)


def test_saved_matches_are_the_same_and_need_no_annotations(run, monkeypatch):
    first = evaluations(run.folder / FOLDER, _truth(run))[0]
    monkeypatch.setattr(module, "match_detections", None)
    for truth in (_truth(run), Path("gone.json"), None):
        again = evaluations(run.folder / FOLDER, truth)[0]
        assert again.metrics() == first.metrics()
        assert (again.fingerprint, again.classes) == (first.fingerprint, first.classes)
        assert again.found.image_ids == first.found.image_ids


@pytest.mark.parametrize("what", ["predictions", "annotations", "damage"])
def test_matches_are_made_anew_when_what_they_come_from_changes(run, what):
    before = evaluations(run.folder / FOLDER, _truth(run))[0]
    if what == "predictions":
        path: Path = run.folder / FOLDER / "val.bbox.json"
        path.write_text(json.dumps(json.loads(path.read_text())[:1]))
    elif what == "annotations":
        content: dict[str, Any] = json.loads(_truth(run).read_text())
        content["annotations"].pop()
        _truth(run).write_text(json.dumps(content))
    else:
        (run.folder / FOLDER / "matches.bbox.pt").write_bytes(b"cut short")
    after = evaluations(run.folder / FOLDER, _truth(run))[0]
    assert (after.metrics() == before.metrics()) == (what == "damage")
    assert (after.fingerprint == before.fingerprint) == (what == "damage")


def test_a_network_that_found_nothing_has_an_ap_of_zero(run):
    (run.folder / FOLDER / "val.bbox.json").write_text("[]")
    assert evaluations(run.folder / FOLDER, _truth(run))[0].metrics()["bbox_mAP"] == 0


def test_masks_are_matched_as_masks(run):
    polygon = [[10.0, 10.0, 30.0, 10.0, 30.0, 30.0, 10.0, 30.0]]
    content = json.loads(_truth(run).read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = polygon
    _truth(run).write_text(json.dumps(content))
    from pycocotools import mask

    (shape,) = mask.frPyObjects(polygon, 100, 100)
    found = [
        {"image_id": 1, "category_id": 1, "score": 0.9,
         "segmentation": {"size": [100, 100], "counts": shape["counts"].decode()}}
    ]  # fmt: skip
    path = run.folder / FOLDER / "val.segm.json"
    path.write_text(json.dumps(found))
    matches, classes = match_detections(_truth(run), path, "segm")
    assert dict(zip(classes, matches.by_class().tolist(), strict=True)) == pytest.approx(
        {"ring": 100.0, "disc": 0.0}
    )
    assert [one.prefix for one in evaluations(run.folder / FOLDER, _truth(run))] == ["bbox_", "segm_"]


def test_missing_annotations_are_told(run):
    with pytest.raises(DatasetError, match=r"gone\.json of the images are missing"):
        evaluations(run.folder / FOLDER, Path("gone.json"))


def test_iou_by_class_leaves_out_what_nowhere_occurs():
    from wrs_mm.bench.statistics.bootstrap import SegmentationCounts

    counts = SegmentationCounts(
        ["a", "b"], torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.tensor([[4.0, 0.0], [2.0, 0.0]])
    )
    by_class = counts.by_class().numpy()
    assert by_class[0] == 50.0
    assert np.isnan(by_class[1])


def test_a_run_that_reports_test_has_its_annotations_and_is_held_against_its_numbers(run):
    config = {
        "val_evaluator": {"type": "CocoMetric", "ann_file": "gone.json"},
        "test_evaluator": [{"type": "CocoMetric", "ann_file": str(_truth(run))}],
    }
    spec = RunSpec(
        recipe="r",
        regularizer="wd",
        options={},
        optimizer="recipe",
        seed=0,
        split="test",
        baseline=True,
    )
    (evaluation,) = evaluations(run.folder / FOLDER, _truth(run))
    right, wrong = evaluation.metrics()["bbox_mAP"], 1.0
    for tune, test, kept in ((wrong, right, 1), (right, wrong, 0)):
        result = Result(
            status=Status.DONE, task="detection", metrics={"bbox_mAP": tune}, test={"bbox_mAP": test}
        )
        data = RunData(spec, run.folder, Status.DONE, result, config)
        ((_, _, found),), reasons = evaluated_runs([data])
        assert (len(found), len(reasons)) == (kept, 1 - kept)
    trial = replace(data, spec=spec.model_copy(update={"trial": 0}))
    assert evaluated_runs([trial]) == ([], [])


def test_of_runs_without_predictions_it_is_said_but_of_classifiers_which_save_none(tmp_path):
    def made(name: str, task: str) -> RunData:
        spec = RunSpec(recipe=name, regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)
        return RunData(spec, tmp_path / name, Status.DONE, Result(status=Status.DONE, task=task))

    names = ["a", "b", "c", "d"]
    runs = [made(name, "detection") for name in names] + [made("e", "classification")]
    found, reasons = evaluated_runs(runs)
    assert [run.evaluations for run in found] == [[]] * 5
    assert reasons == [
        f"{', '.join(run.spec.id for run in runs[:3])} and 1 other run: no predictions were saved"
    ]
