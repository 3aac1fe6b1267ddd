"""An arm is an overlay of its recipe: a few lines that change the optimizer wrapper and nothing else."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
from arms import ARMS, CONFIGS, load, plain, recipes_in
from mmengine.config import Config

from wrs_mm import regularizers
from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.recipes import find_recipe
from wrs_mm.bench.plan.resolve import resolve
from wrs_mm.bench.plan.spec import RunSpec

RECIPES = [(folder, r) for folder in ("coco", "cityscapes", "mini", "real") for r in recipes_in(folder)]
OF_THE_ARM = {"type", "constructor", "wrs", "scale_invariance"}
FACTORS = (0.1, 0.3, 1, 3, 10)
"""The sweep of weight decay, in shares of the recipe's."""


@functools.cache
def _read(folder: str, recipe: str, arm: str | None) -> Config:
    return load(folder, recipe, arm)


def read(folder: str, recipe: str, arm: str | None = None) -> Config:
    """A config; reading one takes half a second, and each is needed in several tests."""
    return copy.deepcopy(_read(folder, recipe, arm))


def options(recipe: str, arm: str) -> dict[str, Any]:
    """What makes an arm of a recipe: with frozen BN, the weights before it are the ones compared."""
    if "_frozenbn_" not in recipe:
        return {}
    return {"none": {"frozen_bn": "fold"}, "wd": {}, "wrs": {"frozen_bn": "fold", "target": "init"}}[arm]


@pytest.mark.parametrize(("folder", "recipe"), RECIPES)
def test_arms_of_a_recipe_differ_in_the_regularizer_only(folder: str, recipe: str) -> None:
    rest = []
    for arm in (None, *ARMS):
        config = plain(read(folder, recipe, arm))
        wrapper = config["optim_wrapper"]
        paramwise = dict(wrapper.pop("paramwise_cfg", None) or {})
        paramwise.pop("scale_invariant_decay_mult", None)
        for key in OF_THE_ARM:
            wrapper.pop(key, None)
        rest.append({**config, "paramwise_cfg": paramwise})
    assert all(config == rest[0] for config in rest[1:])


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(("folder", "recipe"), RECIPES)
def test_overlay_is_what_the_regularizer_makes_of_the_recipe(folder: str, recipe: str, arm: str) -> None:
    made = regularizers.apply(read(folder, recipe), arm, **options(recipe, arm))
    assert plain(read(folder, recipe, arm)) == plain(made)


@pytest.mark.parametrize(("folder", "recipe"), RECIPES)
def test_overlays_are_a_few_lines(folder: str, recipe: str) -> None:
    for arm in ARMS:
        text = (CONFIGS / folder / f"{recipe}_{arm}.py").read_text(encoding="utf-8")
        assert text.startswith("# ") and f"_base_ = './{recipe}.py'" in text
        assert len(text.splitlines()) <= 10


# -- plans --------------------------------------------------------------------------------------------


def resolved(spec: RunSpec) -> dict[str, Any]:
    return plain(resolve(spec, find_recipe(spec.recipe, CONFIGS / "benchmarks")))


@pytest.mark.parametrize("folder", ["coco", "cityscapes"])
def test_plan_compares_every_recipe_of_its_folder(folder: str) -> None:
    plan = load_plan(CONFIGS / "benchmarks" / f"{folder}.yaml")
    specs = expand(plan)
    names = sorted(recipe.name for recipe in plan.recipes)
    assert names == [f"{folder}/{recipe}" for recipe in recipes_in(folder)]
    assert len(specs) == len(plan.recipes) * len(ARMS) * len(plan.seeds)
    assert {(s.regularizer, s.baseline) for s in specs} == {("none", False), ("wd", True), ("wrs", False)}
    assert plan.name == folder and len(plan.seeds) >= 3
    assert [optimizer.name for optimizer in plan.optimizers] == ["recipe"]


@pytest.mark.parametrize(
    "recipe", ["coco/retinanet_r50_fpn_syncbn_1x_coco", "coco/retinanet_r50_fpn_frozenbn_1x_coco"]
)
def test_plan_trains_the_overlays(recipe: str) -> None:
    specs = expand(load_plan(CONFIGS / "benchmarks" / "coco.yaml"))
    for spec in [s for s in specs if s.recipe == recipe and s.seed == 0]:
        wrapper = plain(read(*recipe.split("/"), spec.regularizer))["optim_wrapper"]
        assert resolved(spec)["optim_wrapper"] == wrapper


@pytest.mark.parametrize("folder", ["coco", "cityscapes"])
def test_sweep_multiplies_the_recipes_weight_decay_and_rescales_with_nothing_to_tune(folder: str) -> None:
    specs = expand(load_plan(CONFIGS / "benchmarks" / f"{folder}_wd_sweep.yaml"))
    recipes = {spec.recipe for spec in specs}
    assert recipes and all("_frozenbn_" not in recipe for recipe in recipes)
    for recipe in recipes:
        arms = [spec for spec in specs if spec.recipe == recipe and spec.seed == 0]
        own = read(*recipe.split("/")).optim_wrapper.optimizer.weight_decay
        strengths = [s.options["weight_decay"] for s in arms if s.regularizer == "wd"]
        assert strengths == pytest.approx([factor * own for factor in FACTORS])
        assert [s.options for s in arms if s.regularizer == "wrs"] == [{}]
        assert [s.options for s in arms if s.baseline] == [{"weight_decay": pytest.approx(own)}]
    strongest = next(s for s in specs if s.options == {"weight_decay": pytest.approx(10 * own)})
    wrapper = resolved(strongest)["optim_wrapper"]
    assert wrapper["optimizer"]["weight_decay"] == own
    assert wrapper["paramwise_cfg"]["scale_invariant_decay_mult"] == pytest.approx(10)


def test_an_arm_with_options_is_made_from_the_recipe_not_from_its_overlay() -> None:
    recipe = "coco/faster-rcnn_r50_fpn_frozenbn_1x_coco"
    wrs = {"recipe": recipe, "regularizer": "wrs", "optimizer": "recipe", "seed": 0, "baseline": False}
    assert resolved(RunSpec(**wrs, options={}))["optim_wrapper"]["wrs"] == {
        "frozen_bn": "fold",
        "target": "init",
    }
    chosen = RunSpec(**wrs, options={"frozen_bn": "fold"})
    assert resolved(chosen)["optim_wrapper"]["wrs"] == {"frozen_bn": "fold"}
