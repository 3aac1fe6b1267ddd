"""What a plan compares: its arms, resolved with as few reads as there are files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_plans import SMALL
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.checks import comparison_warnings
from wrs_mm.bench.plan.comparison import arm_differences, by_scenario, resolve_arms
from wrs_mm.bench.plan.expansion import expand
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
    arms = resolve_arms(plan)
    runs = [arm.run(seed) for seed in plan.seeds for arm in arms]
    comparison_warnings(arms)
    assert len(runs) == 2 * 2 * 2 * 3 * 3
    assert reads == {"small.py": 1, "other.py": 1}


def test_a_run_of_an_arm_is_the_plans_run_and_what_a_single_one_resolves_to(write_small, tmp_path):
    plan = load_plan(write_small("cfg_options: {randomness: {diff_rank_seed: true}}\n"))
    runs = [arm.run(seed) for seed in plan.seeds for arm in resolve_arms(plan)]
    assert [spec for spec, _ in runs] == expand(plan)
    for spec, config in runs:
        assert config.pretty_text == resolve(spec, str(tmp_path / "small.py")).pretty_text


def test_runs_share_nothing_that_one_of_them_could_change(write_small):
    none, wd, _ = resolve_arms(load_plan(write_small()))
    before = wd.config.pretty_text
    _, config = none.run(1)
    for changed in (config, none.config, none.base):
        changed.model.backbone.depth = 101
        changed.randomness = {"seed": 9}
    assert wd.config.pretty_text == before and wd.run(0)[1].pretty_text == before


def test_a_scenario_holds_the_arms_of_one_recipe_optimizer_and_learning_rate(write_small):
    arms = resolve_arms(load_plan(write_small("learning_rates: [recipe, 0.1]\n")))
    scenarios = by_scenario(arms)
    assert list(scenarios) == [("small", "recipe", None), ("small", "recipe", 0.1)]
    assert [[arm.label for arm in own] for own in scenarios.values()] == [
        ["none", "wd", "wrs"],
        ["none, lr=0.1", "wd, lr=0.1", "wrs, lr=0.1"],
    ]
