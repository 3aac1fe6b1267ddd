"""A plan that is not the comparison it says it is earns a warning; one that is, none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_plans import SMALL
from small_recipe import RECIPE, write_recipe

from wrs_mm import regularizers
from wrs_mm.bench.plan.checks import comparison_warnings
from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.plan import load_plan

SWEEP = "learning_rates: [recipe, 0.1]\n"


def _warnings(path: Path) -> list[str]:
    return comparison_warnings(resolve_arms(load_plan(path)))


def test_arms_that_change_what_they_declare_earn_no_warning(write_small):
    assert _warnings(write_small()) == []


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, None),
        ({"optimizer": {"type": "SGD", "lr": 0.5}}, "optim_wrapper.optimizer.lr (0.5 against 0.01)"),
        ({"type": "AmpWRSOptimWrapper"}, "optim_wrapper.type (AmpWRSOptimWrapper against"),
    ],
)
def test_a_regularizer_that_changes_more_than_it_declares_is_noticed(
    extra, expected, write_small, monkeypatch
):
    wrs = regularizers.REGULARIZERS["wrs"]
    monkeypatch.setitem(
        regularizers.REGULARIZERS, "wrs", lambda optim_wrapper: {**wrs(optim_wrapper), **extra}
    )
    found = _warnings(write_small())
    if expected is None:
        assert found == []
    else:
        (warning,) = found
        assert warning.startswith("small: wrs differs from wd in more than it declares: ")
        assert expected in warning


def test_a_minimum_learning_rate_that_stays_behind_is_noticed_once(write_small):
    (warning,) = _warnings(write_small(SWEEP))
    assert warning.startswith("small: param_scheduler.1.eta_min stays 0.0001, 0.01 of the recipe's lr 0.01")
    remedy = re.search(r"links: \{.*?\}", warning)
    assert remedy
    assert _warnings(write_small(SWEEP + remedy[0] + "\n")) == []
    remedy = re.search(r"cfg_options: \{.*?\}", warning)
    assert remedy
    assert _warnings(write_small(SWEEP + remedy[0] + "\n")) == []


def test_a_learning_rate_of_an_arm_is_declared_and_what_stays_behind_is_not(write_small):
    own = SMALL.replace("wrs]", "{wrs: {lr: 0.05}}]")
    (warning,) = _warnings(write_small(plan=own))
    assert warning.startswith("small: param_scheduler.1.eta_min stays 0.0001")
    remedy = re.search(r"links: \{.*?\}", warning)
    assert remedy
    linked = write_small(remedy[0] + "\n", own)
    assert _warnings(linked) == []
    changed = [arm.values["param_scheduler.1.eta_min"] for arm in resolve_arms(load_plan(linked))]
    assert changed == [1e-4, 1e-4, 5e-4]


def test_a_learning_rate_that_the_recipe_gives_an_arm_is_declared_too(write_small, tmp_path):
    said = "regularizers = dict(wrs=dict(lr=0.05), wd=dict(lr=0.02, weight_decay=0.01))"
    write_recipe(tmp_path, text=f"{RECIPE}\nparam_scheduler = []\n{said}\n")
    path = write_small()
    assert _warnings(path) == []
    arms = resolve_arms(load_plan(path))
    rates = {arm.spec.regularizer: arm.values["optim_wrapper.optimizer.lr"] for arm in arms}
    assert rates == {"none": 0.01, "wd": 0.02, "wrs": 0.05}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("custom_hooks = [dict(type='SomeHook', start=0.01)]", "custom_hooks.0.start"),
        ("custom_hooks = [dict(type='SomeHook', base_lr=0.02)]", "custom_hooks.0.base_lr"),
        ("custom_hooks = [dict(type='SomeHook', momentum=0.01)]", None),
        ("param_scheduler = dict(type='OneCycleLR', eta_max=0.2)", "param_scheduler.eta_max"),
        ("param_scheduler = dict(type='CosineAnnealingMomentum', eta_min=0.2)", None),
        ("param_scheduler = dict(type='LinearParamScheduler', param_name='momentum', eta_min=0.2)", None),
        ("param_scheduler = dict(type='CosineAnnealingLR', eta_min=0)", None),
        ("param_scheduler = dict(type='MultiStepLR', gamma=0.01, milestones=[1])", None),
    ],
)
def test_what_counts_as_left_behind(line, key, write_small, tmp_path):
    write_recipe(tmp_path, text=f"{RECIPE}\nparam_scheduler = []\n{line}\n")
    found = _warnings(write_small(SWEEP))
    assert [warning.split()[1] for warning in found] == ([key] if key else [])


def test_an_optimizer_of_another_type_that_keeps_the_recipes_numbers_is_noticed(write_small):
    found = _warnings(write_small("optimizers: [recipe, AdamW]\n"))
    assert found == [
        f"small: AdamW keeps {kept}, chosen for SGD; say another if it does not suit AdamW"
        for kept in ("lr=0.01", "weight_decay=0.0005")
    ]
    link = "links: {param_scheduler.1.eta_min: recipe * lr}\n"
    said = "optimizers: [recipe, {AdamW: {lr: 1e-4, weight_decay: 0.05}}]\n"
    assert _warnings(write_small(said + link)) == []


def test_a_name_that_drops_what_the_recipe_says_is_noticed(write_small):
    (warning,) = _warnings(write_small("optimizers: [recipe, SGD]\n"))
    assert "SGD by its name leaves out the recipe's momentum=0.9; write recipe: {…}" in warning
    assert _warnings(write_small("optimizers: [recipe, {recipe: {momentum: 0.5}}]\n")) == []


def test_two_arms_that_train_the_same_are_noticed(write_small):
    (warning,) = _warnings(write_small("learning_rates: [recipe, 0.01]\n"))
    assert "«wd» and «wd, lr=0.01» train the same config" in warning
    folded = SMALL.replace("none, wd, wrs", "wd, wrs, {wrs: {interval: 1}}")
    (warning,) = _warnings(write_small(plan=folded))
    assert "«wrs» and «wrs (interval=1)» train the same config" in warning


def test_frozen_bn_counts_for_all_arms_or_none(write_small, tmp_path):
    write_recipe(tmp_path, text=RECIPE.replace("norm_eval=False", "norm_eval=True"))
    (neither,) = _warnings(write_small())
    assert "BN is frozen (model.backbone.norm_eval), and no arm means the weights before it" in neither
    fold = SMALL.replace("none, wd, wrs", "none, wd, {wrs: {frozen_bn: fold, target: init}}")
    (half,) = _warnings(write_small(plan=fold))
    assert "wrs (frozen_bn=fold, target=init) means the weights before it, none does not" in half
    both = fold.replace("[none", "[{none: {frozen_bn: fold}}")
    assert _warnings(write_small(plan=both)) == []


def test_missing_data_is_a_warning_because_a_plan_can_be_read_anywhere(write_small, monkeypatch):
    path = write_small()
    monkeypatch.undo()
    (warning,) = _warnings(path)
    assert "dataset not found: somewhere/tiles" in warning


def test_settings_that_an_optimizer_is_tuned_in_elsewhere_are_declared(write_small):
    text = """
name: small
recipes: [small]
regularizers: [wd, ws, projected]
optimizers: [sgd, adamw: {weight_decay: 5.0e-4}]
tuning:
  trials: 2
  search: {lr: [0.01, 1], wd: {weight_decay: [1.0e-4, 1.0e-1]}}
  optimizers: {adamw: {lr: [0.001, 0.1], wd: {weight_decay: [0.1, 10]}}}
  seeds: [100]
seeds: [0]
split: tune
links: {param_scheduler.1.eta_min: recipe * lr}
baseline: wd
"""
    # What the arms ws and projected change of model and optimizer is declared, too.
    assert _warnings(write_small(plan=text)) == []
