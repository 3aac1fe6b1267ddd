"""Learning curves and the gap between train and tune."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.learning import learning_curves


def run(seed: int, train: dict[int, float], tune: dict[int, float], status: Status = Status.DONE) -> RunData:
    spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=seed, baseline=True)
    return RunData(
        spec,
        Path(),
        status,
        Result(status=status, iteration=20),
        validations={step: {"mIoU": value} for step, value in tune.items()},
        train_validations={step: {"mIoU": value} for step, value in train.items()},
    )


def test_curves_are_means_over_seeds_and_the_gap_is_at_the_end():
    runs = [run(0, {10: 50, 20: 60}, {10: 45, 20: 50}), run(1, {10: 54, 20: 66}, {10: 47, 20: 52})]
    one = learning_curves(runs, "mIoU")["wd"]
    assert (one.train.steps, one.train.mean, one.tune.mean) == ([10, 20], [52, 63], [46, 51])
    assert one.train_seeds == [{10: 50, 20: 60}, {10: 54, 20: 66}]
    assert one.gap[:4] == (2, 63, 51, 12)
    assert one.gap.sd == pytest.approx(math.sqrt(8))


def test_a_run_that_is_not_done_is_drawn_and_in_no_gap():
    runs = [
        run(0, {10: 50, 20: 60}, {10: 45, 20: 50}),
        run(1, {10: 10}, {10: 9}, Status.DIVERGED),
    ]
    one = learning_curves(runs, "mIoU")["wd"]
    assert one.train.seeds == [2, 1]
    assert one.gap.seeds == 1 and one.gap.mean == 10 and math.isnan(one.gap.sd)


def test_what_was_measured_last_before_the_end_is_not_the_end():
    gap = learning_curves([run(0, {10: 50}, {10: 45})], "mIoU")["wd"].gap
    assert gap.seeds == 0 and math.isnan(gap.mean)


def test_without_numbers_on_train_there_are_no_learning_curves():
    assert learning_curves([run(0, {}, {10: 45, 20: 50})], "mIoU") == {}
