"""Runs beside the equilibria of theory: real filters get there, and only where they had the time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from made_up_dynamics import STAGES, made_up_dynamics, run_data, write_dynamics

from wrs_mm.bench.statistics.dynamics import watched_runs
from wrs_mm.bench.statistics.equilibria import equilibria, predicted
from wrs_mm.engine.hooks.dynamics_file import read
from wrs_mm.rescaling.equilibrium import equilibrium_turn, updates_to_equilibrium

DECAY = {"weight_decay": 0.01, "momentum": 0.0}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory):
    """Three seeds of wd, one of none and of wrs."""
    runs = []
    for arm, seed in (("wd", 0), ("wd", 1), ("wd", 2), ("none", 0), ("wrs", 0)):
        folder: Path = tmp_path_factory.mktemp(f"{arm}{seed}")
        write_dynamics(folder, arm, seed)
        runs.append(run_data(arm, seed, read(folder)))
    return watched_runs(runs)


def test_filters_with_weight_decay_are_where_theory_says(simulated):
    found = equilibria(simulated)
    assert [(one.arm, one.stage) for one in found] == [("wd", stage) for stage in STAGES]
    for one in found:
        assert one.turn_ratio.value == pytest.approx(1.0, abs=0.02) and one.turn_ratio.seeds == 3
        assert one.norm_ratio.value == pytest.approx(1.0, abs=0.02)
        assert one.turn_ratio.low < one.turn_ratio.value < one.turn_ratio.high
        assert one.time == pytest.approx(0.1 / (4 * 0.1 * 0.02), rel=1e-5)
        assert one.turn == pytest.approx(math.sqrt(2 * 0.1 * 0.02 / 1.9), rel=0.02)
    # Filters with longer gradients are longer.
    assert [one.norm for one in found] == sorted(one.norm for one in found)


def test_they_are_there_between_the_start_and_the_step_of_the_learning_rate(simulated):
    run = simulated.runs[0]
    prediction = predicted(run)
    assert prediction is not None
    there = run.dynamics.iterations[prediction.reached[:, 0]]
    # Three time constants of 12.5 updates; the step comes at 267, and from there 125 updates are one.
    assert 38 < there[0] <= 60 and there[-1] == 260


def test_without_weight_decay_or_a_law_nothing_is_predicted(simulated):
    arms = {one.arm: one for one in simulated.runs}
    assert predicted(arms["none"]) is None and predicted(arms["wrs"]) is None
    made = made_up_dynamics(law="<b>", **DECAY, lr=1.0)
    assert predicted(watched_runs([run_data("wd", 0, made)]).runs[0]) is None


def test_weights_without_decay_have_no_equilibrium_beside_some_that_have_one():
    made = made_up_dynamics(("a", "b"), lr=0.1, momentum=0.0, weight_decay=[0.0, 0.01])
    watched = watched_runs([run_data("wd", 0, made)])
    prediction = predicted(watched.runs[0])
    assert prediction is not None
    assert np.isnan(prediction.turn[:, 0]).all() and not prediction.reached[:, 0].any()
    assert prediction.turn[:, 1] == pytest.approx(math.sqrt(2 * 0.1 * 0.01))
    first, second = equilibria(watched)
    assert first.share == 0 and math.isnan(first.turn_ratio.value) and math.isnan(first.time)
    assert second.time == pytest.approx(250, rel=1e-5) and math.isnan(second.turn)


def test_a_learning_rate_that_moves_too_fast_is_in_no_equilibrium():
    iterations = range(100, 2100, 100)
    # One time constant is 2.5 updates at lr 10 and moves along; e-fold by e-fold in a hundred.
    slow = made_up_dynamics(iterations=iterations, lr=10 * np.exp(-0.01 * np.arange(20))[:, None], **DECAY)
    fast = made_up_dynamics(iterations=iterations, lr=10 * np.exp(-8.0 * np.arange(20))[:, None], **DECAY)
    shares = [
        predicted(watched_runs([run_data("wd", 0, made)]).runs[0]).reached.mean() for made in (slow, fast)
    ]
    assert shares == [pytest.approx(19 / 20), 0.0]


@pytest.mark.parametrize(("law", "power"), [("sgd", 4), ("adamw", 2)])
def test_the_farther_a_weight_starts_the_longer_it_takes(law, power):
    # Reports every time constant; a norm that starts at 20 times the equilibrium's, as theory has it.
    lr, decay, momentum = 0.1, 0.01, 0.9
    constant = updates_to_equilibrium(law, lr, decay, momentum)
    iterations = np.round(constant * np.arange(1, 26)).astype(int)
    size = 1 + (20**power - 1) * np.exp(-(iterations - iterations[0]) / constant)
    turn = equilibrium_turn(law, lr, decay, momentum) / np.sqrt(size)
    made = made_up_dynamics(
        iterations=iterations,
        law=law,
        sgd=law == "sgd",
        lr=lr,
        weight_decay=decay,
        momentum=momentum,
        turn=turn[:, None],
    )
    prediction = predicted(watched_runs([run_data("wd", 0, made)]).runs[0])
    assert prediction is not None
    first = int(np.argmax(prediction.reached[:, 0]))
    # The first report within 20 % of ‖w‖⁴ or ‖w‖².
    assert abs(size[first] - 1) <= 0.2 < abs(size[first - 1] - 1)
    assert prediction.reached[first:, 0].all()


def test_of_adamw_norms_are_not_predicted():
    made = made_up_dynamics(law="adamw", sgd=False, lr=0.1, weight_decay=0.1, momentum=0.9)
    prediction = predicted(watched_runs([run_data("wd", 0, made)]).runs[0])
    assert prediction is not None and np.isnan(prediction.norm).all()
    assert prediction.turn == pytest.approx(math.sqrt(2 * 0.1 * 0.1 * 0.1 / 1.9))


def test_the_square_of_the_gradient_is_averaged_over_reports_that_are_near():
    squared = np.array([1.0, 1.0, 1.0, 1.0, 6.0, 1.0, 1.0, 1.0, 1.0])
    made = made_up_dynamics(
        iterations=range(10, 91, 10), lr=0.1, unit_gradient=np.sqrt(squared)[:, None], **DECAY
    )
    prediction = predicted(watched_runs([run_data("wd", 0, made)]).runs[0])
    assert prediction is not None
    powers = prediction.norm[:, 0] ** 4 * 0.01 * (2 - 0.1 * 0.01) / 0.1
    assert powers == pytest.approx([1, 1, 2, 2, 2, 2, 2, 1, 1], rel=1e-5)


def test_a_single_report_is_in_no_equilibrium():
    made = made_up_dynamics(iterations=(10,), lr=0.1, **DECAY)
    prediction = predicted(watched_runs([run_data("wd", 0, made)]).runs[0])
    assert prediction is not None and not prediction.reached.any()
