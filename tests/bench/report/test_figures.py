"""The plots show the numbers of statistics, an arm in one color everywhere.

They are figures/base.py, figures/classes.py, figures/curves.py, figures/forest.py and figures/sweeps.py.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.report.figures.base import Figure, colors
from wrs_mm.bench.report.figures.classes import class_figure
from wrs_mm.bench.report.figures.curves import curve_figure
from wrs_mm.bench.report.figures.forest import differences_to_baseline
from wrs_mm.bench.report.figures.sweeps import sweep_figures
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.by_class import ClassDifference
from wrs_mm.bench.statistics.curves import curve_over_seeds
from wrs_mm.bench.statistics.over_images import IMAGE_COLUMNS
from wrs_mm.bench.statistics.over_seeds import summarize
from wrs_mm.bench.statistics.over_sweeps import sweeps, swept_points
from wrs_mm.bench.statistics.results import gather

PALETTE = colors(["wd", "wrs"])


def _traces(figure: Figure) -> list[dict[str, Any]]:
    traces = json.loads(figure.content)["data"]
    assert all(trace["meta"] == trace["legendgroup"] for trace in traces)
    return traces


def test_a_forest_has_the_difference_of_each_arm_with_its_interval(results):
    wd, wrs = {0: 60.0, 1: 62.0, 2: 67.0}, {0: 61.0, 1: 64.0, 2: 70.0}
    summary = summarize(results({"wd": wd, "wrs": wrs}))
    (figure,) = differences_to_baseline(summary, pd.DataFrame(columns=list(IMAGE_COLUMNS)), PALETTE)
    (trace,) = _traces(figure)
    assert figure.title == "Segmentation: difference to the baseline in mIoU"
    assert (trace["meta"], trace["x"]) == ("wrs", [2.0])
    low, high = summary[summary["regularizer"] == "wrs"][["low", "high"]].iloc[-1]
    assert trace["error_x"]["array"] == pytest.approx([(high - low) / 2])


def test_a_curve_is_a_line_in_a_band_and_crosses_mark_where_runs_diverged():
    made = {"wd": curve_over_seeds([{10: 1.0, 20: 2.0}, {10: 3.0}], diverged=[20])}
    band, line, cross = _traces(curve_figure("title", "loss", made, PALETTE))
    assert band["y"] == [3.0, 2.0, 2.0, 1.0]
    assert (line["x"], line["y"], line["line"]["color"]) == ([10, 20], [2.0, 2.0], PALETTE["wd"])
    assert (cross["x"], cross["y"], cross["marker"]["symbol"]) == ([20], [2.0], "x")


def test_classes_have_small_points_of_seeds_and_a_large_one_of_their_mean():
    made = {"wrs": [ClassDifference("<b>", [-2.0, -1.0], -1.5), ClassDifference("road", [1.0, 3.0], 2.0)]}
    figure = class_figure("title", "points", made, PALETTE)
    small, large = _traces(figure)
    assert (small["x"], small["y"]) == ([-2.0, -1.0, 1.0, 3.0], [0, 0, 1, 1])
    assert (large["x"], large["y"]) == ([-1.5, 2.0], [0, 1])
    assert json.loads(figure.content)["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;", "road"]


def test_a_sweep_has_a_line_for_what_is_swept_and_a_level_for_what_has_no_such_option():
    pairs = []
    arms = [
        ("wd", {"weight_decay": decay}, value) for decay, value in ((1e-5, 50.0), (1e-4, 60.0), (1e-3, None))
    ]
    for arm, options, value in [*arms, ("wrs", {}, 61.0)]:
        spec = RunSpec(
            recipe="r", regularizer=arm, options=options, optimizer="recipe", seed=0, baseline=arm == "wd"
        )
        status = Status.DIVERGED if value is None else Status.DONE
        metrics = {} if value is None else {"mIoU": value}
        pairs.append((spec, Result(status=status, task="segmentation", metrics=metrics)))
    frame = gather(pairs)
    best = sweeps(frame)
    (figure,) = sweep_figures(swept_points(frame, best), best)
    line, lost, level = _traces(figure)
    assert figure.title == "r: mIoU of the last checkpoint against weight_decay"
    assert (line["x"], line["y"]) == ([1e-5, 1e-4, 1e-3], [50.0, 60.0, None])
    assert (lost["x"], lost["customdata"]) == ([1e-3], [1])
    assert (level["x"], level["y"]) == ([1e-5, 1e-3], [61.0, 61.0])
    assert json.loads(figure.content)["layout"]["xaxis"]["type"] == "log"
