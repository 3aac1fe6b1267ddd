"""How sharp arms are at the end of training, over their seeds."""

from __future__ import annotations

import math

import pytest
from made_up_sharpness import entry, measured
from scipy import stats

from wrs_mm.bench.statistics.sharpness import last_sharpness, series, sharp_runs


def test_a_ratio_is_the_geometric_mean_of_each_seeds_own():
    pairs = [(1.0, 2.0), (8.0, 4.0), (6.0, 6.0)]
    runs = [
        measured("wd", seed, entry(0, sharpness=99.0), entry(10, sharpness=value, stable=edge))
        for seed, (value, edge) in enumerate(pairs)
    ]
    (one,) = last_sharpness(runs)
    assert (one.arm, one.iteration, one.seeds) == ("wd", 10, 3)
    assert one.values[0] == pytest.approx((5.0, math.sqrt(13.0)))
    logs = [math.log(value / edge) for value, edge in pairs]
    assert one.ratios[0].value == pytest.approx(1.0)
    expected = stats.t.interval(0.95, 2, 0.0, stats.sem(logs))
    assert (one.ratios[0].low, one.ratios[0].high) == pytest.approx(tuple(math.exp(end) for end in expected))


def test_a_seed_that_ended_earlier_is_not_in_it():
    runs = [measured("wd", 0, entry(0), entry(10, sharpness=3.0)), measured("wd", 1, entry(0))]
    (one,) = last_sharpness(runs)
    assert (one.iteration, one.seeds, one.values[0][0]) == (10, 1, 3.0)
    assert math.isnan(one.values[0][1])


def test_without_an_edge_there_is_no_ratio_and_without_a_sphere_nothing_of_it():
    runs = [
        measured("adamw", 0, entry(1, stable=None, sphere_stable=None)),
        measured("ws", 0, entry(1, sphere=None, sphere_error=None, sphere_stable=None)),
    ]
    adam, ws = last_sharpness(runs)
    assert [mean for mean, _ in adam.values] == [1.0, 1.0]
    assert all(math.isnan(ratio.value) for ratio in adam.ratios)
    assert ws.ratios[0].value == 0.5
    assert math.isnan(ws.values[1][0]) and math.isnan(ws.ratios[1].value)


def test_a_ratio_is_of_all_measurements_while_the_learning_rate_is_a_tenth_of_its_largest():
    """Not of what stands before the first update, nor of the end, where the edge goes to infinity."""
    entries = [
        entry(0, sharpness=1000.0, stable=2.0),
        entry(10, sharpness=4.0, stable=2.0),
        entry(20, sharpness=5.0, stable=20.0),
        entry(30, sharpness=1.0, stable=20.1),
    ]
    (one,) = last_sharpness([measured("wd", 0, *entries)])
    assert one.ratios[0].value == pytest.approx(math.sqrt(2.0 * 0.25))
    assert one.values[0][0] == 1.0


def test_a_loss_that_is_convex_nowhere_has_a_sharpness_and_no_ratio():
    (one,) = last_sharpness([measured("wd", 0, entry(1, sharpness=-1.0))])
    assert one.values[0][0] == -1.0 and math.isnan(one.ratios[0].value)


def test_runs_that_measure_nothing_are_left_out_and_unknown_numbers_are_in_no_curve():
    run = measured("wd", 0, entry(0, sphere=None), entry(10, sphere=3.0))
    assert sharp_runs([measured("wd", 1), run]) == [run]
    assert series(run, "sphere") == {10: 3.0}
