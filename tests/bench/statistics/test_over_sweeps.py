"""Sweeps: the best value and what a step costs."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.over_sweeps import SweepPoint, along, step_from_best, sweeps, swept_points
from wrs_mm.bench.statistics.results import gather

Values = dict[int, float | None]


def _results(points: list[tuple[str, dict[str, float], float | None, Values]]) -> pd.DataFrame:
    """Results of one recipe: arm, options, learning rate, and mIoU by seed; None is a diverged run."""
    pairs = []
    for arm, options, rate, values in points:
        for seed, value in values.items():
            spec = RunSpec(
                recipe="r",
                regularizer=arm,
                options=options,
                optimizer="recipe",
                learning_rate=rate,
                seed=seed,
                baseline=arm == "wd",
            )
            status = Status.DIVERGED if value is None else Status.DONE
            metrics = {} if value is None else {"mIoU": value}
            pairs.append((spec, Result(status=status, task="segmentation", metrics=metrics)))
    return gather(pairs)


def _decays(values: dict[float, Values]) -> list[tuple[str, dict[str, float], float | None, Values]]:
    return [("wd", {"weight_decay": decay}, None, by_seed) for decay, by_seed in values.items()]


def test_the_best_value_and_the_loss_one_step_away():
    steps = {1e-5: {0: 50.0}, 1e-4: {0: 60.0}, 1e-3: {0: 58.0}, 1e-2: {0: 10.0}}
    (row,) = sweeps(_results(_decays(steps))).to_dict("records")
    assert (row["axis"], row["best"], row["mean"]) == ("weight_decay", 1e-4, 60.0)
    assert (row["below_value"], row["below_loss"]) == (1e-5, 10.0)
    assert (row["above_value"], row["above_loss"]) == (1e-3, 2.0)


def test_trials_are_no_points_and_the_split_is_the_one_that_is_reported():
    pairs = []
    for decay, value, trial in ((1e-4, 50.0, None), (1e-3, 52.0, None), (1e-2, 90.0, 0)):
        spec = RunSpec(
            recipe="r",
            regularizer="wd",
            options={"weight_decay": decay},
            optimizer="recipe",
            seed=0,
            trial=trial,
            split="test",
            baseline=True,
        )
        metrics = {"mIoU": 100 - value}
        result = Result(status=Status.DONE, task="segmentation", metrics=metrics, test={"mIoU": value})
        pairs.append((spec, result))
    frame = gather(pairs)
    (row,) = sweeps(frame).to_dict("records")
    assert (row["best"], row["mean"], row["below_loss"], row["split"]) == (1e-3, 52.0, 2.0, "test")
    assert [(one.value, one.mean) for one in next(iter(swept_points(frame, sweeps(frame)).values()))] == [
        (1e-4, 50.0),
        (1e-3, 52.0),
    ]


def test_the_edge_of_a_sweep_has_nothing_beyond():
    (row,) = sweeps(_results(_decays({1e-5: {0: 50.0}, 1e-4: {0: 60.0}}))).to_dict("records")
    assert math.isnan(row["above_value"])
    assert row["below_loss"] == 10.0


def test_the_loss_is_paired_by_seed_and_has_an_interval_from_three():
    best, next_to_it = {0: 60.0, 1: 70.0, 2: 65.0}, {0: 58.0, 1: 67.0, 2: 64.0}
    (row,) = sweeps(_results(_decays({1.0: next_to_it, 2.0: best}))).to_dict("records")
    assert row["below_loss"] == pytest.approx(2.0)
    assert row["below_low"] == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-5)


def test_a_value_at_which_runs_diverge_is_counted_and_never_the_best():
    steps = {1.0: {0: 50.0, 1: 50.0}, 2.0: {0: 90.0, 1: None}}
    (row,) = sweeps(_results(_decays(steps))).to_dict("records")
    assert row["best"] == 1.0
    assert (row["above_value"], row["above_diverged"]) == (2.0, 1)


def test_an_arm_with_nothing_to_tune_stands_beside_the_sweep():
    points = [*_decays({1.0: {0: 50.0}, 2.0: {0: 60.0}}), ("wrs", {}, None, {0: 61.0})]
    rows = {row["regularizer"]: row for row in sweeps(_results(points)).to_dict("records")}
    assert (rows["wrs"]["axis"], rows["wrs"]["mean"]) == ("", 61.0)
    assert sweeps(_results([("wrs", {}, None, {0: 61.0})])).empty


def test_an_arm_at_its_default_is_no_point_of_the_sweep():
    points = [*_decays({1.0: {0: 50.0}, 2.0: {0: 60.0}}), ("wd", {}, None, {0: 99.0})]
    (row,) = sweeps(_results(points)).to_dict("records")
    assert (row["axis"], row["best"], row["mean"]) == ("weight_decay", 2.0, 60.0)


def test_a_grid_has_a_row_for_each_axis_with_the_others_held_at_the_best():
    grid = {(1.0, 0.1): 50.0, (2.0, 0.1): 55.0, (1.0, 0.2): 40.0, (2.0, 0.2): 70.0}
    points = [("wd", {"weight_decay": decay}, rate, {0: v}) for (decay, rate), v in grid.items()]
    rows = {row["axis"]: row for row in sweeps(_results(points)).to_dict("records")}
    assert json.loads(rows["learning_rate"]["point"]) == {"weight_decay": 2.0, "learning_rate": 0.2}
    assert rows["learning_rate"]["below_loss"] == 15.0
    assert rows["weight_decay"]["below_loss"] == 30.0


def test_best_checkpoints_are_swept_apart_from_last_ones():
    last = _results(_decays({1.0: {0: 50.0}, 2.0: {0: 60.0}}))
    best = last.assign(checkpoint="best", value=[99.0, 61.0])
    both = pd.concat([last, best], ignore_index=True)
    assert sweeps(both)["best"].tolist() == [2.0]
    assert sweeps(both, "best")["best"].tolist() == [1.0]


def test_along_a_sweep_all_else_is_as_at_the_best_point():
    grid = {(1.0, 0.1): 50.0, (2.0, 0.1): 55.0, (1.0, 0.2): 40.0, (2.0, 0.2): 70.0}
    points = [("wd", {"weight_decay": d}, rate, {0: v, 1: v + 2}) for (d, rate), v in grid.items()]
    points += [("wd", {"weight_decay": 4.0}, 0.2, {0: None, 1: 30.0})]
    frame = _results(points)
    rows = {row["axis"]: row for row in sweeps(frame).to_dict("records")}
    first, second, last = along(frame, rows["weight_decay"])
    assert first == SweepPoint(1.0, 2, 41.0, pytest.approx(math.sqrt(2)), 0)
    assert second == SweepPoint(2.0, 2, 71.0, pytest.approx(math.sqrt(2)), 0)
    assert (last.value, last.seeds, last.mean, last.diverged) == (4.0, 1, 30.0, 1)
    assert math.isnan(last.sd)
    assert [point.mean for point in along(frame, rows["learning_rate"])] == [56.0, 71.0]


def test_a_step_from_the_best_shows_a_loss_as_negative_with_its_interval_turned_round():
    best, next_to_it = {0: 60.0, 1: 70.0, 2: 65.0}, {0: 58.0, 1: 67.0, 2: 64.0}
    (row,) = sweeps(_results(_decays({1.0: next_to_it, 2.0: best}))).to_dict("records")
    step = step_from_best(row, "below")
    assert step is not None
    assert (step.value, step.change, step.diverged) == (1.0, -row["below_loss"], 0)
    assert (step.low, step.high) == (-row["below_high"], -row["below_low"])
    assert step.low < step.change < step.high
    assert step_from_best(row, "above") is None
