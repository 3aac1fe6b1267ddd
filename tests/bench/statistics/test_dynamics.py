"""Effective schedules of arms, against numbers that are worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from made_up_dynamics import made_up_dynamics, run_data
from scipy import stats

from wrs_mm.bench.statistics.dynamics import (
    LAST_PART,
    RATE,
    ScheduleVerdict,
    compare_schedules,
    parts_of,
    stage_curves,
    turn_spread,
    watched_runs,
)
from wrs_mm.bench.statistics.over_seeds import ratio_over_seeds

COLUMN = np.array([[1.0], [2.0], [3.0], [4.0]])
"""A value a report, the same for all weights."""


def pairs(*factors: float, drift: float = 1.0):
    """Runs of wd and wrs, a seed for each factor by which wrs turns filters further."""
    made = []
    for seed, factor in enumerate(factors):
        made.append(run_data("wd", seed, made_up_dynamics(turn=0.01 * COLUMN, norm=2.0, lr=0.1)))
        turns = 0.01 * COLUMN * factor * drift ** (COLUMN - 1)
        made.append(run_data("wrs", seed, made_up_dynamics(turn=turns, norm=1.0, lr=0.1)))
    return watched_runs(made)


def test_a_factor_is_the_mean_over_seeds_with_students_interval():
    (found,) = compare_schedules(pairs(2.0, 2.2, 1.9))
    logs = np.log([2.0, 2.2, 1.9])
    expected = stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs))
    assert found.arm == "wrs"
    assert found.apart.value == pytest.approx(math.exp(logs.mean()), rel=1e-5)
    assert (found.apart.low, found.apart.high) == pytest.approx(tuple(np.exp(expected)), rel=1e-4)
    assert [one.value for one in found.turns] == pytest.approx([math.exp(logs.mean())] * 4, rel=1e-5)
    # At half the norm lr / ‖w‖² is four times as high.
    assert [one.value for one in found.rates] == pytest.approx([4.0] * 4, rel=1e-5)


def test_schedules_that_cross_are_apart_though_their_means_are_not():
    (found,) = compare_schedules(pairs(1 / 8, 1 / 8, 1 / 8, drift=4.0))
    assert [one.value for one in found.turns] == pytest.approx([1 / 8, 1 / 2, 2.0, 8.0], rel=1e-5)
    assert found.apart.value == pytest.approx(4.0, rel=1e-5)  # the mean of 8, 2, 2 and 8
    assert found.verdict is ScheduleVerdict.OTHER


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [
        ((1.01, 0.99, 1.02), "same schedule"),
        ((2.0, 2.2, 1.9), "another schedule"),
        ((1.1, 1.3, 1.5), "not told apart"),
        ((9.0, 9.1), "too few seeds"),
    ],
)
def test_the_verdict_is_that_of_the_interval(factors, verdict):
    (found,) = compare_schedules(pairs(*factors))
    assert found.verdict == verdict


def test_the_stage_that_is_furthest_apart_is_named():
    turns = np.array([0.01, 0.001])
    runs = [
        run_data("wd", 0, made_up_dynamics(("a", "b"), turn=0.01)),
        run_data("none", 0, made_up_dynamics(("a", "b"), turn=turns)),
    ]
    (found,) = compare_schedules(watched_runs(runs))
    assert found.furthest == ("b", pytest.approx(0.1))
    assert found.apart.value == pytest.approx(math.sqrt(10), rel=1e-5)


def test_only_runs_of_one_seed_are_compared():
    made = made_up_dynamics(turn=0.01)
    runs = [run_data("wd", 0, made), run_data("wrs", 1, made), run_data("none", 0, made)]
    assert [one.arm for one in compare_schedules(watched_runs(runs))] == ["none"]
    assert compare_schedules(watched_runs([run_data("wrs", 0, made)])) == []


def test_of_a_run_that_ended_early_what_both_have_is_compared():
    whole = made_up_dynamics(iterations=range(10, 81, 10), turn=0.01)
    short = made_up_dynamics(iterations=(10, 20, 30, 40), turn=[[0.02], [0.02], [math.nan], [0.02]])
    (found,) = compare_schedules(watched_runs([run_data("wd", 0, whole), run_data("none", 0, short)]))
    values = [one.value for one in found.turns]
    assert values[:2] == pytest.approx([2.0, 2.0], rel=1e-5) and math.isnan(values[2])
    assert found.apart.value == pytest.approx(2.0, rel=1e-5)
    other = made_up_dynamics(iterations=(15, 25))
    assert compare_schedules(watched_runs([run_data("wd", 0, whole), run_data("none", 0, other)])) == []


def test_the_weights_of_all_arms_are_compared_in_one_order():
    first = made_up_dynamics(("a", "b", "c"), turn=[0.1, 0.2, 0.3])
    other = made_up_dynamics(("c", "a"), turn=[0.6, 0.2])
    found = watched_runs([run_data("wd", 0, first), run_data("none", 0, other)])
    assert [one.dynamics.contents.weights for one in found.runs] == [["a.weight", "c.weight"]] * 2
    assert found.runs[0].stages == ["a", "c"]
    (compared,) = compare_schedules(found)
    assert compared.turns[0].value == pytest.approx(2.0, rel=1e-5)


def test_an_arm_of_which_hardly_a_weight_is_known_is_left_out():
    first = made_up_dynamics(("a", "b", "c"))
    runs = [run_data("wd", 0, first), run_data("ws", 0, made_up_dynamics(("a",))), run_data("none", 0, first)]
    nothing = made_up_dynamics((), iterations=())
    runs.append(run_data("ic", 0, dataclasses.replace(nothing)))
    found = watched_runs(runs)
    assert (list(found.by_arm()), found.left_out) == (["wd", "none"], {"ws": 1, "ic": 0})
    assert len(found.runs[0].dynamics.contents.weights) == 3


def test_runs_that_watched_nothing_are_no_runs_to_compare():
    assert watched_runs([run_data("wd", 0, None)]).runs == []
    assert watched_runs([]).runs == []
    begun = made_up_dynamics(iterations=())
    assert watched_runs([run_data("wd", 0, begun)]).runs == []


def test_a_stage_is_the_geometric_mean_of_its_weights_and_arms_the_mean_of_their_seeds():
    made = [
        run_data("wd", seed, made_up_dynamics(("a", "a", "b"), norm=[low, 4.0, 7.0], lr=0.1))
        for seed, low in ((0, 1.0), (1, 9.0))
    ]
    # Weights of one name would be one.
    made = [dataclasses.replace(one, dynamics=_renamed(one.dynamics)) for one in made]
    runs = watched_runs(made).runs
    curve = stage_curves(runs, "norm", "a")
    assert curve.steps == [10, 20, 30, 40]
    assert (curve.mean[0], curve.low[0], curve.high[0]) == pytest.approx((4.0, 2.0, 6.0), rel=1e-5)
    assert stage_curves(runs[:1], RATE, "b").mean == pytest.approx([0.1 / 49] * 4, rel=1e-5)
    adam = dataclasses.replace(made[0].dynamics.contents, sgd=False)
    other = dataclasses.replace(made[0], dynamics=dataclasses.replace(made[0].dynamics, contents=adam))
    assert stage_curves(watched_runs([other]).runs, RATE, "b").mean == pytest.approx([0.1 / 7] * 4, rel=1e-5)


def _renamed(dynamics):
    names = [f"{number}.weight" for number in range(len(dynamics.contents.weights))]
    return dataclasses.replace(dynamics, contents=dataclasses.replace(dynamics.contents, weights=names))


def test_filters_spread_in_the_first_and_in_the_last_quarter():
    made = made_up_dynamics(turn_10=0.0, turn_50=COLUMN, turn_90=2 * COLUMN)
    runs = watched_runs([run_data("wd", 0, made)]).runs
    assert turn_spread(runs, "a", 0) == (0.0, 1.0, 2.0)
    assert turn_spread(runs, "a", LAST_PART) == (0.0, 4.0, 8.0)


def test_quarters_are_equal_parts_of_the_training():
    assert parts_of(np.arange(1, 9)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert parts_of(np.array([50])).tolist() == [3]
    assert parts_of(np.array([50, 100, 150, 200])).tolist() == [0, 1, 2, 3]


def test_a_ratio_of_too_few_seeds_has_no_interval():
    found = ratio_over_seeds([math.log(2), math.nan, math.log(8)])
    assert (found.value, found.seeds) == (pytest.approx(4.0), 2)
    assert math.isnan(found.low) and math.isnan(found.high)
    assert ratio_over_seeds([]).seeds == 0
