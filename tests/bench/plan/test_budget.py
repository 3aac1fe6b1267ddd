"""What tuning gives each arm: where it looks, how many runs, how long."""

from __future__ import annotations

import pytest
from small_plans import SMALL, TUNING
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.budget import Budget, budgets, equal_between_arms
from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.plan import Plan, load_plan
from wrs_mm.bench.plan.recipes import find_plan
from wrs_mm.bench.plan.search import Range
from wrs_mm.errors import PlanError

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


def test_the_plan_of_four_optimizers_gives_every_arm_the_same_with_each():
    plan, given = _given(find_plan("mini_optimizers"))
    assert [entry.name for entry in plan.optimizers] == ["sgd", "nesterov", "adam", "adamw"]
    assert len(given) == 2 * 4 * 5 and len(plan.seeds) == 3
    assert len({(budget.trials, budget.trial_runs, budget.finals) for budget in given}) == 1
    # Ranges of learning rates are as wide with each optimizer, and the same for all arms.
    rates = {(b.arm.spec.optimizer, b.space["lr"].low, b.space["lr"].high) for b in given}
    assert {name for name, _, _ in rates} == {"sgd", "nesterov", "adam", "adamw"} and len(rates) == 4
    assert all(high / low == pytest.approx(100) for _, low, high in rates)
    assert "Not the same" not in equal_between_arms(plan, given)


def test_what_is_not_equal_is_said(write_small, tmp_path):
    lines = SMALL.replace("[none, wd, wrs]", "[wd, {wrs: {lr: 0.05}}]")
    tuning = TUNING.replace("    wrs: {}\n", "")
    line = equal_between_arms(*_given(write_small(tuning, lines)))
    assert "Not the same: the number of trials" in line and "the values of lr" not in line
    own = TUNING.replace("wrs: {}", "wrs: {lr: [0.1, 10]}")
    line = equal_between_arms(*_given(write_small(own)))
    assert "Not the same" not in line and "the values of lr" not in line


def test_halving_trains_less_and_the_same_for_all_arms(write_small, tmp_path):
    path = write_small(TUNING + "  halving: {rungs: [0.25, 0.5], keep: 0.5}\n")
    write_recipe(tmp_path, text=LONG.replace("val_interval=100", "val_interval=150"))
    for budget in _given(path)[1]:
        # 4 trials to a quarter, 2 to the half, 1 to the end; then two final runs.
        assert str(budget.total) == f"{4 * 150 + 2 * 150 + 300 + 2 * 600} iterations"


def test_halving_of_a_recipe_that_validates_too_rarely_names_the_line(write_small, tmp_path):
    path = write_small(TUNING + "  halving: {rungs: [0.25, 0.5], keep: 0.5}\n")
    write_recipe(tmp_path, text=LONG.replace("val_interval=100", "val_interval=600"))
    with pytest.raises(PlanError, match=r"plan\.yaml, line 14: a recipe of 600 iterations that validates"):
        _given(path)
