"""The choice of settings: the best trial on ``tune``, once all of them are through."""

from __future__ import annotations

from typing import Any

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.selection import Trial, choices, choose


def _spec(number: int | None, lr: float = 0.1, seed: int = 100, **others: Any) -> RunSpec:
    fields = {"recipe": "r", "regularizer": "wd", "options": {}, "optimizer": "recipe", "baseline": True}
    return RunSpec(**{**fields, "settings": {"lr": lr}, "trial": number, "seed": seed, **others})


def _result(value: float | None, status: Status = Status.DONE, **others: Any) -> Result:
    metrics = {} if value is None else {"mAcc": 100 - value, "mIoU": value}
    return Result(status=status, task="segmentation", metrics=metrics, **others)


DIVERGED = _result(None, Status.DIVERGED)
FAILED = _result(None, Status.FAILED)


def _trials(*values: Result | None, rates: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4)) -> list[Trial]:
    return [(_spec(number, rates[number]), value) for number, value in enumerate(values)]


def test_the_best_trial_wins_by_the_main_metric():
    choice = choose(_trials(_result(40), _result(60), _result(50)))
    assert (choice.trial, choice.settings, choice.metric) == (1, {"lr": 0.2}, "mIoU")
    assert choice.scores == {0: 40, 1: 60, 2: 50}
    assert not choice.hopeless


def test_nothing_of_test_has_a_say():
    test = getattr(Result, "model_fields", {}).get("test")
    if test is None:
        pytest.skip("results have no metrics on test yet")
    choice = choose(_trials(_result(40, test={"mIoU": 99.0}), _result(60, test={"mIoU": 1.0})))
    assert choice.trial == 1


def test_of_equal_trials_the_one_with_the_smallest_lr_wins():
    values = [_result(60), _result(50), _result(60), _result(60)]
    assert choose(_trials(*values, rates=(0.4, 0.1, 0.2, 0.3))).settings == {"lr": 0.2}


def test_a_diverged_trial_is_one_and_never_wins():
    choice = choose(_trials(DIVERGED, _result(0.0)))
    assert choice.trial == 1
    assert choice.scores == {0: None, 1: 0.0}


def test_where_all_have_diverged_nothing_is_chosen_and_nothing_is_hoped_for():
    choice = choose(_trials(DIVERGED, DIVERGED))
    assert choice.hopeless
    assert (choice.trial, choice.settings) == (None, None)


@pytest.mark.parametrize("last", [None, FAILED, _result(None, Status.INTERRUPTED)])
def test_nothing_is_chosen_while_a_trial_waits(last):
    choice = choose(_trials(_result(40), _result(60), last))
    assert [spec.trial for spec in choice.waiting] == [2]
    assert choice.settings is None
    assert not choice.hopeless
    # What is there can be looked at all the same.
    assert choice.scores == {0: 40, 1: 60}


def test_the_score_of_a_trial_is_the_mean_over_its_seeds():
    results = {0: [60, 20], 1: [50, 40], 2: [99, None]}
    trials = [
        (_spec(number, seed=seed), _result(value, Status.DIVERGED if value is None else Status.DONE))
        for number, values in results.items()
        for seed, value in enumerate(values)
    ]
    choice = choose(trials)
    assert choice.scores == {0: 40, 1: 45, 2: None}
    assert choice.trial == 1
    # A trial of which one seed is missing has no score yet.
    assert choose([*trials[:-1], (trials[-1][0], None)]).scores == {0: 40, 1: 45}


def test_each_arm_of_each_scenario_is_chosen_by_itself():
    runs = []
    for index, fields in enumerate(
        [{}, {"recipe": "s"}, {"optimizer": "AdamW"}, {"options": {"a": 1}}, {"regularizer": "wrs"}]
    ):
        for number in range(3):
            best = 60 if number == index % 3 else 50
            runs.append((_spec(number, 0.1 * (number + 1), **fields), _result(best)))
    runs.append((_spec(None), _result(99)))
    found = choices(runs)
    assert [choice.trial for choice in found.values()] == [0, 1, 2, 0, 1]
    assert (("r", "recipe", None), "wd (a=1)") in found


def test_the_order_of_results_does_not_matter():
    trials = _trials(_result(40), _result(60), _result(60), DIVERGED)
    assert choose(trials).trial == choose(trials[::-1]).trial == 1
