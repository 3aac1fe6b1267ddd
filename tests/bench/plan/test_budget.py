"""What tuning gives each arm: where it looks, how many runs, how long."""

from __future__ import annotations

from small_plans import SMALL, TUNING
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.budget import Budget, Length, budgets, equal_between_arms, training_length
from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.plan import Plan, load_plan
from wrs_mm.bench.plan.search import Range

LONG = RECIPE + "train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=100)\n"


def _given(path) -> tuple[Plan, list[Budget]]:
    plan = load_plan(path)
    return plan, budgets(plan, resolve_arms(plan))


def test_every_arm_has_the_same_budget_whatever_it_has_to_tune(write_small, tmp_path):
    plan = write_small(TUNING.replace("[100]", "[100, 101]"))
    write_recipe(tmp_path, text=LONG)
    plan, given = _given(plan)
    assert [budget.space for budget in given] == [
        {"lr": Range(0.02, 1.0)},
        {"lr": Range(0.02, 1.0), "weight_decay": Range(1e-5, 1e-1)},
        {"lr": Range(0.02, 1.0)},
    ]
    for budget in given:
        assert (budget.trials, budget.trial_runs, budget.finals) == (4, 8, 2)
        assert (str(budget.each), str(budget.total)) == ("600 iterations", "6000 iterations")
    line = equal_between_arms(plan, given)
    assert "seeds (100, 101); the values of lr" in line and "how long a run trains" in line
    assert "Not the same" not in line


def test_what_is_not_equal_is_said(write_small, tmp_path):
    lines = SMALL.replace("[none, wd, wrs]", "[wd, {wrs: {lr: 0.05}}]")
    tuning = TUNING.replace("    wrs: {}\n", "")
    line = equal_between_arms(*_given(write_small(tuning, lines)))
    assert "Not the same: the number of trials" in line and "the values of lr" not in line
    own = TUNING.replace("wrs: {}", "wrs: {lr: [0.1, 10]}")
    line = equal_between_arms(*_given(write_small(own)))
    assert "Not the same" not in line and "the values of lr" not in line


def test_the_length_of_a_training_is_the_recipes(tmp_path):
    from mmengine.config import Config

    assert training_length(Config({"train_cfg": {"max_iters": 1}})) == Length(1, "iteration")
    assert training_length(Config({"train_cfg": {"by_epoch": True, "max_epochs": 12}})) == Length(12, "epoch")
    assert training_length(Config({"train_cfg": {"type": "Own"}})) is None
    assert training_length(Config({})) is None
