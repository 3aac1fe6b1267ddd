"""Statistics over seeds, on results written by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.over_seeds import (
    SUMMARY_COLUMNS,
    best_means,
    effect_over,
    effect_over_groups,
    interval,
    runs_by_state,
    summarize,
    verdict,
)
from wrs_mm.bench.statistics.over_sweeps import sweeps
from wrs_mm.bench.statistics.results import gather, records, same_at_last_and_best


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


def test_the_interval_is_mean_plus_and_minus_t_times_the_standard_error():
    generator = np.random.default_rng(1)
    for count in [3, 4, 5, 20] * 50:
        differences = generator.normal(0.0, 3.0, count)
        half = stats.t.ppf(0.975, count - 1) * np.std(differences, ddof=1) / math.sqrt(count)
        mean = np.mean(differences)
        assert interval(differences) == pytest.approx((mean - half, mean + half), rel=0, abs=1e-12)


@pytest.mark.filterwarnings("error")
def test_over_groups_with_means_and_spreads_of_their_own_intervals_cover_in_95_percent_of_trials():
    rng = np.random.default_rng(0)
    for sizes in ((5, 5), (3, 3, 3, 3), (2, 2, 2, 2, 2, 2)):
        means, spreads = np.linspace(-4, 6, len(sizes)), np.geomspace(0.3, 4, len(sizes))
        covered = 0
        for _ in range(2000):
            groups = [rng.normal(m, s, n) for m, s, n in zip(means, spreads, sizes, strict=True)]
            effect = effect_over_groups(groups)
            covered += effect.low <= means.mean() <= effect.high
        # With two differences a group Satterthwaite's degrees of freedom are rough, on the side of caution.
        assert 0.93 < covered / 2000 < (0.97 if min(sizes) > 2 else 1.0), sizes


def test_over_groups_it_is_welchs_interval_and_of_one_group_students():
    one, other = [1.0, 2.0, 4.0], [0.0, -3.0, 2.0, 5.0]
    welch = stats.ttest_ind(one, [-value for value in other], equal_var=False).confidence_interval()
    effect = effect_over_groups([one, other, []])
    assert (2 * effect.low, 2 * effect.high) == pytest.approx((welch.low, welch.high))
    assert effect_over_groups([one]) == pytest.approx(effect_over(one))
    assert effect_over_groups([one, [1.0]])[1:3] == pytest.approx((np.nan, np.nan), nan_ok=True)
    assert effect_over_groups([[2.0, 2.0], [1.0, 1.0]])[:3] == (1.5, 1.5, 1.5)
    assert np.isnan(effect_over_groups([]).value)


def test_equal_differences_have_an_interval_without_width_and_without_a_warning():
    assert interval([1.5, 1.5, 1.5]) == (1.5, 1.5)


def test_every_run_is_counted_in_the_state_that_its_result_has():
    not_ended, of_trials = {Status.PENDING, Status.RUNNING}, {Status.PAUSED, Status.STOPPED}
    states = [state for state in Status if state not in not_ended | of_trials]
    assert {state.value for state in states} == {"done", "diverged", "failed", "interrupted"}
    pairs = []
    for seed, status in enumerate([*states, Status.INTERRUPTED]):
        spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=seed, baseline=True)
        metrics = {"mIoU": 50.0} if status is Status.DONE else {}
        pairs.append((spec, Result(status=status, task="segmentation", dataset="d", metrics=metrics)))
    (arm,) = records(summarize(gather(pairs)))
    assert (arm["runs"], arm["failed"], arm["interrupted"], arm["seeds"]) == (5, 1, 2, 1)
    assert runs_by_state(arm) == {"done": 1, "diverged": 1, "failed": 1, "interrupted": 2}


def test_arms_are_compared_on_test_at_their_own_settings_and_trials_are_left_out():
    pairs = []
    for regularizer, value in (("wd", 50.0), ("wrs", 53.0)):
        for seed, trial in ((0, None), (1, None), (100, 0), (100, 1)):
            spec = RunSpec(
                recipe="r",
                regularizer=regularizer,
                options={},
                settings={"lr": 0.1 if regularizer == "wd" else 0.2},
                optimizer="recipe",
                seed=seed,
                trial=trial,
                split="test",
                baseline=regularizer == "wd",
            )
            off = 0 if trial is None else 30
            result = Result(
                status=Status.DONE,
                task="segmentation",
                dataset="d",
                metrics={"mIoU": 90.0},
                test={"mIoU": value + seed - off},
            )
            pairs.append((spec, result))
    summary = summarize(gather(pairs))
    assert len(summary) == 2 and set(summary["split"]) == {"test"}
    arm = row(summary, "wrs")
    assert (arm["runs"], arm["seeds"], arm["mean"], arm["difference"]) == (2, 2, 53.5, 3.0)
    assert arm["settings"] == '{"lr": 0.2}'
    assert not len(summarize(gather(pairs), "best").dropna(subset="mean"))


def test_before_the_first_final_there_is_nothing_to_compare():
    spec = RunSpec(
        recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=100, trial=0, baseline=True
    )
    trials = gather([(spec, Result(status=Status.DONE, task="segmentation", metrics={"mIoU": 1.0}))])
    assert len(summarize(trials)) == 0 and list(summarize(trials).columns) == list(SUMMARY_COLUMNS)
    assert len(sweeps(trials)) == 0 and same_at_last_and_best(trials) == set()


def test_the_best_mean_is_one_that_another_arm_could_have_had(results):
    rows = records(summarize(results({"wd": {0: 60.0}, "wrs": {0: 61.0}, "none": {0: None}})))
    assert best_means(rows) == {("mini/pspnet", "mIoU"): 61.0, ("mini/pspnet", "mAcc"): 71.0}
    assert best_means(records(summarize(results({"wd": {0: 60.0}})))) == {}


def test_the_verdict_is_where_zero_lies():
    assert [verdict(0.1, 1.0), verdict(-1.0, -0.1), verdict(-1.0, 1.0)] == [
        "better",
        "worse",
        "not told apart",
    ]
    assert verdict(math.nan, math.nan) == "too few seeds"


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
