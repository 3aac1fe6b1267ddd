"""What training did to the weights, arm by arm: against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up_dynamics import made_up_dynamics, run_data
from made_up_noise import noisy
from scipy import stats

from wrs_mm.bench.statistics.dynamics import watched_runs
from wrs_mm.bench.statistics.weights import ArmWeights, arm_weights


def weights(*runs) -> dict[str, ArmWeights]:
    return {one.arm: one for one in arm_weights(runs, watched_runs(runs))}


def test_noise_is_compared_seed_by_seed():
    ends = {"wd": [0.1, 0.2, 0.3], "wrs": [0.2, 0.2, 0.5]}
    found = weights(*(noisy(arm, seed, 0.6, end) for arm in ends for seed, end in enumerate(ends[arm])))
    assert found["wd"].is_baseline and math.isnan(found["wd"].noise.value)
    wrs = found["wrs"]
    assert wrs.noise_start == (pytest.approx(0.6), pytest.approx(0)) and wrs.noise_end[0] == pytest.approx(
        0.3
    )
    differences = np.subtract(ends["wrs"], ends["wd"])
    low, high = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    assert wrs.noise[:3] == pytest.approx((differences.mean(), low, high)) and wrs.noise.units == 3
    assert wrs.norm.seeds == 0 and math.isnan(wrs.rate.value)


def test_a_seed_that_the_baseline_lacks_or_that_was_not_measured_to_its_end_is_in_no_difference():
    found = weights(
        noisy("wd", 0, 0.5, 0.1), noisy("wrs", 0, 0.5, 0.4), noisy("wrs", 1, 0.5, 0.9), noisy("none", 0, 0.5)
    )
    assert found["wrs"].noise.value == pytest.approx(0.3) and found["wrs"].seeds == 2
    assert set(found) == {"wd", "wrs"}


def test_norms_and_rates_are_geometric_means_over_weights_and_the_training():
    """One weight goes to a half, the other to an eighth: together to a quarter. Rates go with one over n²."""
    norms = np.array([[1.0, 1.0], [1.0, 1.0], [0.5, 0.125], [0.5, 0.125]])
    runs = [
        *(run_data("wd", seed, made_up_dynamics(norm=norms, lr=0.1, turn=0.2)) for seed in range(3)),
        *(run_data("wrs", seed, made_up_dynamics(lr=0.1, turn=0.1)) for seed in range(3)),
    ]
    found = weights(*runs)
    assert found["wd"].norm.value == pytest.approx(0.25) and found["wrs"].norm.value == pytest.approx(1)
    assert (found["wrs"].norm.low, found["wrs"].norm.high) == pytest.approx((1, 1))
    # In half of the training a sixteenth.
    assert found["wrs"].rate.value == pytest.approx(1 / 4)
    assert found["wrs"].turn.value == pytest.approx(0.5)
    assert math.isnan(found["wd"].rate.value) and math.isnan(found["wd"].noise_end[0])


def test_runs_that_measured_nothing_have_no_row():
    assert weights(run_data("wd", 0), noisy("wrs", 0)) == {}
