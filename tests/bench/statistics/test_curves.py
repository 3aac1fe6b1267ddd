"""Curves, and the logs that they come from (logs.py)."""

from __future__ import annotations

import json

import pytest
from made_up import write_log

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.statistics.curves import curve_over_seeds
from wrs_mm.bench.statistics.logs import training_losses, validations


def test_a_resumed_run_shows_each_iteration_once_and_its_last_attempt(tmp_path):
    run = Run(tmp_path)
    write_log(run, "20261123_100000", [10, 20, 30, 40], quality=0.0)
    # Resumed from iteration 20, logged at other iterations, and got further.
    write_log(run, "20261123_110000", [25, 35, 45], quality=0.5)
    losses = training_losses(run)
    assert list(losses) == [10, 20, 25, 35, 45]
    assert losses[20] > 1 > losses[35]


def test_a_line_that_a_kill_cut_short_and_losses_that_are_not_finite_are_left_out(tmp_path):
    run = Run(tmp_path)
    write_log(run, "a", [10], quality=0.0)
    path = tmp_path / "a" / "vis_data" / "scalars.json"
    path.write_text('{"loss": NaN, "step": 20}\n{"loss": 1.5, "step": 10}\n{"loss": 0.')
    assert training_losses(run) == {10: 1.5}


def test_validations_are_in_percent_by_iteration(tmp_path):
    run = Run(tmp_path)
    assert validations(run.validations, "detection") == {}
    entries = [{"iteration": 75, "metrics": {"coco/bbox_mAP": 0.25}}, {"iteration": 150, "metrics": {}}]
    run.validations.write_text(json.dumps(entries))
    assert validations(run.validations, "detection") == {75: {"bbox_mAP": 25.0}, 150: {}}


def test_a_curve_is_the_mean_of_the_seeds_that_got_there():
    curve = curve_over_seeds([{10: 1.0, 20: 2.0}, {10: 3.0}, {}])
    assert (curve.steps, curve.mean, curve.low, curve.high, curve.seeds) == (
        [10, 20],
        [2.0, 2.0],
        [1.0, 2.0],
        [3.0, 2.0],
        [2, 1],
    )


def test_a_run_that_diverged_is_marked_on_the_mean():
    assert curve_over_seeds([{10: 1.0, 20: 2.0}], diverged=[15, 99]).diverged == [(15, 1.5), (99, 2.0)]
    assert curve_over_seeds([{}], diverged=[15]).diverged == []


def test_long_curves_are_thinned_and_keep_both_ends():
    curve = curve_over_seeds([{step: float(step) for step in range(1, 90_001)}])
    assert len(curve.steps) <= 400
    assert (curve.steps[0], curve.steps[-1]) == (1, 90_000)
    assert curve.mean == pytest.approx([float(step) for step in curve.steps])
