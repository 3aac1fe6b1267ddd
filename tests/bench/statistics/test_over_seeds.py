"""Statistics over seeds, on results written by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wrs_mm.bench.statistics.over_seeds import interval, summarize


def row(summary: pd.DataFrame, arm: str, metric: str = "mIoU") -> pd.Series:
    found = summary[(summary["regularizer"] == arm) & (summary["metric"] == metric)]
    assert len(found) == 1
    return found.iloc[0]


def test_mean_sd_and_paired_difference(results):
    wd, wrs = {0: 60.0, 1: 62.0, 2: 67.0}, {0: 61.0, 1: 64.0, 2: 70.0}
    summary = summarize(results({"wd": wd, "wrs": wrs}))
    arm = row(summary, "wrs")
    assert arm["mean"] == pytest.approx(65.0)
    assert arm["sd"] == pytest.approx(np.std([61, 64, 70], ddof=1))
    assert arm["difference"] == pytest.approx(2.0)
    # Paired: the spread of 1, 2, 3, far below that of either arm.
    assert arm["difference_sd"] == pytest.approx(1.0)
    reference = stats.ttest_rel(list(wrs.values()), list(wd.values())).confidence_interval(0.95)
    assert arm["low"] == pytest.approx(reference.low)
    assert arm["high"] == pytest.approx(reference.high)


def test_the_baseline_has_no_difference_to_itself(results):
    baseline = row(summarize(results({"wd": {0: 1.0, 1: 2.0, 2: 3.0}, "wrs": {0: 1.0}})), "wd")
    assert math.isnan(baseline["difference"])
    assert baseline["pairs"] == 0


def test_one_seed_has_no_spread_and_two_no_interval(results):
    one = row(summarize(results({"wd": {0: 60.0}, "wrs": {0: 61.0}})), "wrs")
    assert one["difference"] == 1.0
    assert math.isnan(one["sd"])
    assert math.isnan(one["difference_sd"])
    two = row(summarize(results({"wd": {0: 60.0, 1: 61.0}, "wrs": {0: 61.0, 1: 63.0}})), "wrs")
    assert two["difference_sd"] == pytest.approx(np.std([1, 2], ddof=1))
    assert math.isnan(two["low"])


def test_only_seeds_of_both_arms_are_paired(results):
    summary = summarize(results({"wd": {0: 60.0, 1: 62.0}, "wrs": {1: 63.0, 2: 90.0}}))
    arm = row(summary, "wrs")
    assert (arm["seeds"], arm["pairs"], arm["difference"]) == (2, 1, 1.0)


def test_diverged_runs_are_counted_and_do_not_enter_means(results):
    summary = summarize(results({"wd": {0: 60.0, 1: 62.0}, "none": {0: 50.0, 1: None}}))
    arm = row(summary, "none")
    assert (arm["mean"], arm["seeds"], arm["runs"], arm["diverged"]) == (50.0, 1, 2, 1)


def test_an_arm_that_always_diverged_still_has_its_rows(results):
    arm = row(summarize(results({"wd": {0: 60.0}, "none": {0: None}})), "none")
    assert math.isnan(arm["mean"])
    assert arm["diverged"] == 1


def test_intervals_cover_a_known_difference_in_95_percent_of_trials():
    generator = np.random.default_rng(0)
    trials = generator.normal(0.7, 2.0, size=(2000, 4))
    covered = sum(low <= 0.7 <= high for low, high in map(interval, trials))
    assert 0.93 <= covered / len(trials) <= 0.97


def test_last_and_best_checkpoints_are_never_summarized_together(results):
    frame = results({"wd": {0: 60.0}, "wrs": {0: 61.0}})
    best = frame.assign(checkpoint="best", value=frame["value"] + 5)
    both = pd.concat([frame, best], ignore_index=True)
    assert row(summarize(both), "wrs")["mean"] == 61.0
    assert row(summarize(both, "best"), "wrs")["mean"] == 66.0
    assert set(summarize(both, "best")["checkpoint"]) == {"best"}


def test_arms_are_compared_at_the_same_learning_rate(results):
    frame = results({"wd": {0: 60.0}, "wrs": {0: 61.0}})
    other = frame.assign(learning_rate=0.1, value=frame["value"] - [0, 0, 3, 3])
    summary = summarize(pd.concat([frame, other], ignore_index=True))
    mine = summary[(summary["regularizer"] == "wrs") & (summary["metric"] == "mIoU")]
    assert sorted(mine["difference"]) == [-2.0, 1.0]
