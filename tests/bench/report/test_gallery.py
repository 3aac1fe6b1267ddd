"""The gallery and its pictures (drawing.py)."""

from __future__ import annotations

import base64
import io

import numpy as np
from made_up import CLASSES, DETECTOR, SEGMENTOR
from PIL import Image

from wrs_mm.bench.report.drawing import LONGER_SIDE, class_colors
from wrs_mm.bench.report.gallery import Panel, make_gallery
from wrs_mm.bench.runs.predictions import FOLDER
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.benchmark import RunData


def _pair(benchmark, recipe):
    runs = [
        run for run in benchmark.report.benchmark.runs if run.spec.recipe == recipe and run.spec.seed == 0
    ]
    by_arm = {run.spec.regularizer: run for run in runs}
    return [by_arm[arm] for arm in ("wd", "wrs")]


def _pixels(panel: Panel) -> np.ndarray:
    content = base64.b64decode(panel.source.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.float32)


def test_ground_truth_and_both_arms_stand_side_by_side(benchmark):
    for recipe in (DETECTOR, SEGMENTOR):
        made = make_gallery("title", _pair(benchmark, recipe))
        assert made is not None
        assert len(made.items) == 4
        assert [name for name, _ in made.legend] == list(CLASSES)
        for item in made.items:
            assert [panel.label for panel in item.panels] == ["ground truth", "wd", "wrs"]
            truth, one, other = (_pixels(panel) for panel in item.panels)
            assert max(truth.shape) == LONGER_SIDE
            assert truth.shape == one.shape == other.shape
            assert np.abs(truth - one).max() > 50


def test_both_recipes_show_the_same_images(benchmark):
    names = [[i.name for i in make_gallery("t", _pair(benchmark, r)).items] for r in (DETECTOR, SEGMENTOR)]
    assert names[0] == names[1]


def test_without_predictions_there_is_no_gallery(benchmark, tmp_path):
    (tmp_path / FOLDER).mkdir()
    spec = benchmark.work_dir.specs()[0]
    assert make_gallery("title", [RunData(spec, tmp_path, Status.DONE)]) is None


def test_classes_without_a_palette_get_colors_of_their_own():
    assert len(set(class_colors(80))) == 80
