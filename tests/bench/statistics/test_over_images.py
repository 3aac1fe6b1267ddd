"""Intervals between runs, and the file that keeps them."""

from __future__ import annotations

import pandas as pd
import torch

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.statistics.bootstrap import SegmentationCounts
from wrs_mm.bench.statistics.evaluations import EvaluatedRun, Evaluation
from wrs_mm.bench.statistics.over_images import (
    IMAGE_COLUMNS,
    image_intervals,
    read_intervals,
    without_zero,
    write_intervals,
)


def _run(arm: str, seed: int, share: float, rate: float | None = None) -> EvaluatedRun:
    spec = RunSpec(
        recipe="r",
        regularizer=arm,
        options={},
        optimizer="recipe",
        learning_rate=rate,
        seed=seed,
        baseline=arm == "wd",
    )
    union = torch.full((6, 2), 100.0)
    found = union * share + torch.arange(6)[:, None]
    counts = SegmentationCounts(list("abcdef"), found, union)
    return EvaluatedRun(spec, "segmentation", [Evaluation("", counts, ["x", "y"], f"{arm}{seed}{share}")])


EMPTY = pd.DataFrame(columns=list(IMAGE_COLUMNS))


def test_runs_are_compared_with_the_baseline_of_their_seed_and_learning_rate():
    runs = [_run("wd", 0, 0.5), _run("wrs", 0, 0.6), _run("wrs", 1, 0.6), _run("wrs", 0, 0.6, rate=0.1)]
    (row,) = image_intervals(runs, EMPTY, resamples=20).to_dict("records")
    assert (row["run"], row["baseline_run"]) == ("r__wrs__seed0", "r__wd__seed0")
    assert abs(row["difference"] - 10.0) < 1e-4
    assert (row["images"], row["resamples"]) == (6, 20)


def test_what_is_known_of_the_same_predictions_is_taken_over(tmp_path):
    runs = [_run("wd", 0, 0.5), _run("wrs", 0, 0.6)]
    announced: list[str] = []
    first = image_intervals(runs, EMPTY, 20, announced.append)
    path = tmp_path / "images.csv"
    write_intervals(first, path)
    again = image_intervals(runs, read_intervals(path), 20, announced.append)
    assert len(announced) == 1
    pd.testing.assert_frame_equal(again, first, check_dtype=False)
    image_intervals([runs[0], _run("wrs", 0, 0.7)], first, 20, announced.append)
    assert len(announced) == 2


def test_a_missing_file_or_one_of_another_version_has_no_rows(tmp_path):
    assert read_intervals(tmp_path / "nowhere.csv").empty
    (tmp_path / "old.csv").write_text("recipe,run\nr,x\n")
    assert read_intervals(tmp_path / "old.csv").empty


def test_intervals_that_leave_out_zero_are_counted():
    ends = [(-1.0, 1.0), (0.5, 1.0), (-2.0, -0.1)]
    assert without_zero({"low": low, "high": high} for low, high in ends) == 2
