"""What a plan compares: its arms, resolved with as few reads as there are files."""

from __future__ import annotations

from small_plans import SMALL
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.comparison import arm_differences, resolve_arms
from wrs_mm.bench.plan.plan import load_plan


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
