"""A plan that is not the comparison it says it is earns a warning; one that is, none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_recipe import RECIPE, write_recipe

from wrs_mm import regularizers
from wrs_mm.bench.plan import checks
from wrs_mm.bench.plan.comparison import comparisons, resolve_cells
from wrs_mm.bench.plan.display import show_plan
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.cli.main import main

PLAN = """name: small
recipes: [small]
regularizers: [none, wd, wrs]
seeds: [0, 1]
baseline: wd
"""
SWEEP = "learning_rates: [recipe, 0.1]\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a plan beside the small recipe; what the recipes read is taken to exist."""
    monkeypatch.setattr(checks, "require_data", lambda config: None)
    write_recipe(tmp_path)

    def _write(extra: str = "", plan: str = PLAN) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_text(plan + extra, encoding="utf-8")
        return path

    return _write


def _warnings(path: Path) -> list[str]:
    plan = load_plan(path)
    return checks.warnings(plan, resolve_cells(plan))


def test_arms_that_change_what_they_declare_earn_no_warning(write):
    assert _warnings(write()) == []


def test_what_differs_between_arms_comes_from_their_configs(write):
    (found,) = comparisons(resolve_cells(load_plan(write())))
    assert found.where == [("small", "recipe", None)]
    assert found.arms == ["none", "wd (baseline)", "wrs"]
    assert found.rows["optim_wrapper.type"] == [
        "ScaleInvariantOptimWrapper",
        "OptimWrapper",
        "WRSOptimWrapper",
    ]
    assert found.rows["optim_wrapper.paramwise_cfg.scale_invariant_decay_mult"] == [0.0, "—", "—"]
    assert all(key.startswith(("optim_wrapper.", "custom_imports.")) for key in found.rows)


def test_settings_with_the_same_differences_are_told_once(write, tmp_path):
    write_recipe(tmp_path, "other", RECIPE.replace("depth=18", "depth=34"))
    plan = PLAN.replace("[small]", "[small, other]")
    (found,) = comparisons(resolve_cells(load_plan(write("learning_rates: [0.1, 0.2]\n", plan))))
    assert found.where == [(recipe, "recipe", rate) for recipe in ("small", "other") for rate in (0.1, 0.2)]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, None),
        ({"optimizer": {"type": "SGD", "lr": 0.5}}, "optim_wrapper.optimizer.lr (0.5 against 0.01)"),
        ({"type": "AmpWRSOptimWrapper"}, "optim_wrapper.type (AmpWRSOptimWrapper against"),
    ],
)
def test_a_regularizer_that_changes_more_than_it_declares_is_noticed(extra, expected, write, monkeypatch):
    wrs = regularizers.REGULARIZERS["wrs"]
    monkeypatch.setitem(
        regularizers.REGULARIZERS, "wrs", lambda optim_wrapper: {**wrs(optim_wrapper), **extra}
    )
    found = _warnings(write())
    if expected is None:
        assert found == []
    else:
        (warning,) = found
        assert warning.startswith("small: wrs differs from wd in more than it declares: ")
        assert expected in warning


def test_a_minimum_learning_rate_that_stays_behind_is_noticed_once(write):
    (warning,) = _warnings(write(SWEEP))
    assert warning.startswith("small: param_scheduler.1.eta_min stays 0.0001, 0.01 of the recipe's lr 0.01")
    remedy = re.search(r"links: \{.*?\}", warning)
    assert remedy
    assert _warnings(write(SWEEP + remedy[0] + "\n")) == []
    remedy = re.search(r"cfg_options: \{.*?\}", warning)
    assert remedy
    assert _warnings(write(SWEEP + remedy[0] + "\n")) == []


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
def test_what_counts_as_left_behind(line, key, write, tmp_path):
    write_recipe(tmp_path, text=f"{RECIPE}\nparam_scheduler = []\n{line}\n")
    found = _warnings(write(SWEEP))
    assert [warning.split()[1] for warning in found] == ([key] if key else [])


def test_an_optimizer_of_another_type_that_keeps_the_recipes_numbers_is_noticed(write):
    found = _warnings(write("optimizers: [recipe, AdamW]\n"))
    assert found == [
        f"small: AdamW keeps {kept}, chosen for SGD; say another if it does not suit AdamW"
        for kept in ("lr=0.01", "weight_decay=0.0005")
    ]
    link = "links: {param_scheduler.1.eta_min: recipe * lr}\n"
    said = "optimizers: [recipe, {AdamW: {lr: 1e-4, weight_decay: 0.05}}]\n"
    assert _warnings(write(said + link)) == []


def test_a_name_that_drops_what_the_recipe_says_is_noticed(write):
    (warning,) = _warnings(write("optimizers: [recipe, SGD]\n"))
    assert "SGD by its name leaves out the recipe's momentum=0.9; write recipe: {…}" in warning
    assert _warnings(write("optimizers: [recipe, {recipe: {momentum: 0.5}}]\n")) == []


def test_two_arms_that_train_the_same_are_noticed(write):
    (warning,) = _warnings(write("learning_rates: [recipe, 0.01]\n"))
    assert "«wd» and «wd, lr=0.01» train the same config" in warning
    folded = PLAN.replace("none, wd, wrs", "wd, wrs, {wrs: {interval: 1}}")
    (warning,) = _warnings(write(plan=folded))
    assert "«wrs» and «wrs (interval=1)» train the same config" in warning


def test_frozen_bn_counts_for_all_arms_or_none(write, tmp_path):
    write_recipe(tmp_path, text=RECIPE.replace("norm_eval=False", "norm_eval=True"))
    (neither,) = _warnings(write())
    assert "BN is frozen (model.backbone.norm_eval), and no arm means the weights before it" in neither
    fold = PLAN.replace("none, wd, wrs", "none, wd, {wrs: {frozen_bn: fold, target: init}}")
    (half,) = _warnings(write(plan=fold))
    assert "wrs (frozen_bn=fold, target=init) means the weights before it, none does not" in half
    both = fold.replace("[none", "[{none: {frozen_bn: fold}}")
    assert _warnings(write(plan=both)) == []


def test_missing_data_is_a_warning_because_a_plan_can_be_read_anywhere(write, monkeypatch):
    path = write()
    monkeypatch.undo()
    (warning,) = _warnings(path)
    assert "dataset not found: somewhere/tiles" in warning


def test_the_command_shows_runs_count_differences_and_warnings(write, capsys):
    assert show_plan(write(SWEEP)) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split("\t") == ["run", "recipe", "arm", "optimizer", "lr", "seed"]
    assert lines[1].split("\t") == ["small__none__seed0", "small", "none", "recipe", "recipe", "0"]
    assert "12 runs: 1 recipe × 3 arms × 2 optimizers or learning rates × 2 seeds" in lines
    assert any(
        line.startswith("optim_wrapper.type\tScaleInvariantOptimWrapper\tOptimWrapper") for line in lines
    )
    assert "What differs between the arms, in all settings" in lines
    assert err.startswith("warning: small: param_scheduler.1.eta_min stays")


def test_differences_are_headed_by_the_settings_they_hold_for(write, tmp_path, capsys):
    write_recipe(tmp_path, "other", RECIPE.replace("'OptimWrapper'", "'AmpOptimWrapper'"))
    show_plan(write(SWEEP, PLAN.replace("[small]", "[small, other]")))
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("What differs")]
    assert heads == [f"What differs between the arms, in {recipe}" for recipe in ("small", "other")]


def test_a_mistake_is_one_line_on_stderr_and_exit_status_2(write, capsys):
    assert main(["bench", "plan", str(write())]) == 0
    capsys.readouterr()
    assert main(["bench", "plan", str(write("cfg_options:\n  train_dataloder.x: 1\n"))]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "plan.yaml, line 7: recipe 'small': train_dataloder.x: " in err and err.count("\n") == 1


def test_on_a_terminal_the_plan_is_a_table(write, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert show_plan(write()) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert lines[0].split() == ["recipe", "arm", "optimizer", "lr", "seed"]
    assert lines[2].split() == ["small", "wd", "(baseline)", "recipe", "recipe", "0"]
    assert "6 runs: 1 recipe × 3 arms × 2 seeds" in lines
