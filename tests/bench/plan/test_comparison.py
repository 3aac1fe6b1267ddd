"""What a plan compares: its arms, resolved with as few reads as there are files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_plans import SMALL, TUNING
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.checks import comparison_warnings
from wrs_mm.bench.plan.comparison import Resolver, arm_differences, by_scenario, resolve_arms
from wrs_mm.bench.plan.expansion import expand, planned_arms, planned_runs
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.resolve import resolve
from wrs_mm.openmmlab import configs


def test_what_differs_between_arms_comes_from_their_configs(write_small):
    (found,) = arm_differences(resolve_arms(load_plan(write_small())))
    assert found.where == [("small", "recipe", None)]
    assert found.arms == ["none", "wd (baseline)", "wrs"]
    assert found.rows["optim_wrapper.type"] == [
        "ScaleInvariantOptimWrapper",
        "OptimWrapper",
        "WRSOptimWrapper",
    ]
    assert found.rows["optim_wrapper.paramwise_cfg.scale_invariant_decay_mult"] == [0.0, "—", "—"]
    assert all(key.startswith(("optim_wrapper.", "custom_imports.")) for key in found.rows)


def test_scenarios_with_the_same_differences_are_told_once(write_small, tmp_path):
    write_recipe(tmp_path, "other", RECIPE.replace("depth=18", "depth=34"))
    plan = SMALL.replace("[small]", "[small, other]")
    (found,) = arm_differences(resolve_arms(load_plan(write_small("learning_rates: [0.1, 0.2]\n", plan))))
    assert found.where == [(recipe, "recipe", rate) for recipe in ("small", "other") for rate in (0.1, 0.2)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each config file was read."""
    counted: Counter[str] = Counter()
    load = configs.load_config

    def counting(source: str | Path, *args: Any) -> Any:
        counted[Path(source).name] += 1
        return load(source, *args)

    monkeypatch.setattr(configs, "load_config", counting)
    return counted


def test_each_file_is_read_once_however_many_seeds_and_learning_rates(write_small, tmp_path, reads):
    write_recipe(tmp_path, "other")
    plan = SMALL.replace("[small]", "[small, other]").replace("[0, 1]", "[0, 1, 2]")
    plan = load_plan(write_small("learning_rates: [recipe, 0.1]\noptimizers: [recipe, AdamW]\n", plan))
    assert len(expand(plan)) == 2 * 2 * 2 * 3 * 3
    resolver = Resolver(plan)
    comparison_warnings(resolve_arms(plan, resolver))
    runs = [resolver.config(run) for run in planned_runs(planned_arms(plan))]
    assert len(runs) == 2 * 2 * 2 * 3 * 3
    assert reads == {"small.py": 1, "other.py": 1}


@pytest.mark.parametrize("tuning", ["", TUNING])
def test_a_run_of_a_plan_trains_what_a_single_one_resolves_to(write_small, tmp_path, tuning):
    plan = load_plan(write_small("cfg_options: {randomness: {diff_rank_seed: true}}\n" + tuning))
    runs, resolver = planned_runs(planned_arms(plan)), Resolver(plan)
    assert [run.spec for run in runs] == expand(plan)
    for run in runs:
        single = resolve(run.spec, str(tmp_path / "small.py"))
        assert resolver.config(run).pretty_text == single.pretty_text


def test_runs_share_nothing_that_one_of_them_could_change(write_small):
    plan = load_plan(write_small())
    resolver = Resolver(plan)
    none, wd, _ = resolve_arms(plan, resolver)
    before = wd.config.pretty_text
    runs = planned_runs(planned_arms(plan))
    for changed in (resolver.config(runs[0]), none.config, none.base):
        changed.model.backbone.depth = 101
        changed.randomness = {"seed": 9}
    assert wd.config.pretty_text == before and resolver.config(runs[1]).pretty_text == before
    assert resolver.config(runs[0]).randomness["seed"] == 0


def test_a_tuned_arm_is_compared_at_its_first_trial(write_small):
    arms = resolve_arms(load_plan(write_small(TUNING)))
    assert [arm.spec.trial for arm in arms] == [0, 0, 0]
    (rate,) = {arm.values["optim_wrapper.optimizer.lr"] for arm in arms}
    assert rate == arms[0].spec.settings["lr"] != 0.01
    (found,) = arm_differences(arms)
    assert "optim_wrapper.optimizer.lr" not in found.rows


def test_what_is_linked_to_the_learning_rate_follows_that_of_a_trial(write_small):
    links = "links: {param_scheduler.1.eta_min: recipe * lr}\n"
    for extra, follows in ((links, True), ("", False)):
        plan = load_plan(write_small(TUNING + extra))
        warnings = comparison_warnings(resolve_arms(plan))
        assert bool(warnings) is not follows, warnings
        resolver = Resolver(plan)
        configs_ = [resolver.config(run) for run in planned_runs(planned_arms(plan))]
        rates = {config.optim_wrapper.optimizer.lr for config in configs_}
        assert len(rates) == 4
        same = [
            config.param_scheduler[1].eta_min == pytest.approx(0.01 * config.optim_wrapper.optimizer.lr)
            for config in configs_
        ]
        assert all(same) if follows else not any(same)


def test_a_scenario_holds_the_arms_of_one_recipe_optimizer_and_learning_rate(write_small):
    arms = resolve_arms(load_plan(write_small("learning_rates: [recipe, 0.1]\n")))
    scenarios = by_scenario(arms)
    assert list(scenarios) == [("small", "recipe", None), ("small", "recipe", 0.1)]
    assert [[arm.label for arm in own] for own in scenarios.values()] == [
        ["none", "wd", "wrs"],
        ["none, lr=0.1", "wd, lr=0.1", "wrs, lr=0.1"],
    ]
