"""The overlays of the recipes: each is what wrs_mm.regularizers.overlay writes for an arm, and no more.

Also the plans beside them, which train the same arms.
"""

from __future__ import annotations

import copy
import functools
import inspect
from pathlib import Path
from typing import Any

import pytest
from arms import ARMS, CONFIGS, ROOT, load, plain, recipes_in
from mmengine.config import Config

from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.recipes import find_recipe
from wrs_mm.bench.plan.resolve import resolve
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.regularizers import RECIPE_KEY, apply_regularizer, find, names
from wrs_mm.regularizers.overlay import overlay

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
def test_overlay_is_what_the_tool_writes_for_the_recipe(folder: str, recipe: str, arm: str) -> None:
    source, file = (f"configs/{folder}/{name}.py" for name in (recipe, f"{recipe}_{arm}"))
    written = (ROOT / file).read_text(encoding="utf-8")
    command = f"wrs-mm config {source} --arm {arm} --overlay > {file}"
    assert written == overlay(read(folder, recipe), arm, source), f"write it anew: {command}"
    loaded = plain(read(folder, recipe, arm))
    # What the recipe says of its arms is inherited, and read by nobody.
    assert loaded.pop(RECIPE_KEY, None) == plain(read(folder, recipe)).get(RECIPE_KEY)
    assert loaded == plain(apply_regularizer(read(folder, recipe), arm))


def test_every_arm_of_every_recipe_has_its_overlay_and_none_is_without_a_recipe() -> None:
    overlays = {path for arm in ARMS for path in CONFIGS.glob(f"*/*_{arm}.py")}
    assert overlays == {CONFIGS / folder / f"{r}_{arm}.py" for folder, r in RECIPES for arm in ARMS}
    assert len(overlays) == 104


def takes_frozen_bn(name: str) -> bool:
    return "frozen_bn" in inspect.signature(find(name)).parameters


@pytest.mark.parametrize(("folder", "recipe"), RECIPES)
def test_arms_of_a_recipe_with_frozen_bn_mean_the_weights_before_it(folder: str, recipe: str) -> None:
    said = plain(read(folder, recipe)).get(RECIPE_KEY, {})
    if "_frozenbn_" not in recipe:
        assert said == {}
        return
    assert said == {
        "none": {"frozen_bn": "fold"},
        "wd": {"frozen_bn": "fold"},
        "wrs": {"frozen_bn": "fold", "target": "init"},
        "wrs_matched": {"frozen_bn": "fold", "target": "init"},
        **{name: {"frozen_bn": "fold"} for name in names() if name not in ARMS and takes_frozen_bn(name)},
    }


# -- plans --------------------------------------------------------------------------------------------


def resolved(spec: RunSpec) -> dict[str, Any]:
    return plain(resolve(spec, find_recipe(spec.recipe, CONFIGS / "benchmarks")))


@pytest.mark.parametrize("folder", ["coco", "cityscapes"])
def test_plan_compares_every_recipe_of_its_folder(folder: str) -> None:
    plan = load_plan(CONFIGS / "benchmarks" / f"{folder}.yaml")
    specs = expand(plan)
    names = sorted(recipe.name for recipe in plan.recipes)
    assert names == [f"{folder}/{recipe}" for recipe in recipes_in(folder)]
    assert len(specs) == len(plan.recipes) * 3 * len(plan.seeds)
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


def test_options_of_a_plan_come_over_the_recipes_own() -> None:
    recipe = "coco/faster-rcnn_r50_fpn_frozenbn_1x_coco"
    arm = {"recipe": recipe, "optimizer": "recipe", "seed": 0, "baseline": False}

    def made(regularizer: str, **options: Any) -> dict[str, Any]:
        return resolved(RunSpec(**arm, regularizer=regularizer, options=options))["optim_wrapper"]

    assert made("wrs")["wrs"] == {"frozen_bn": "fold", "target": "init"}
    assert made("wrs", frozen_bn="fold")["wrs"] == {"frozen_bn": "fold", "target": "init"}
    assert made("wrs", target=0.5)["wrs"] == {"frozen_bn": "fold", "target": 0.5}
    assert made("wrs", target="unit")["wrs"] == {"frozen_bn": "fold"}
    assert made("wd", weight_decay=1e-3)["scale_invariance"] == {"frozen_bn": "fold"}


def test_a_file_beside_the_recipe_does_not_change_what_an_arm_is(tmp_path: Path) -> None:
    source = tmp_path / "foo.py"
    source.write_text("_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n")
    arm = {"recipe": "foo", "regularizer": "wd", "options": {}, "optimizer": "recipe"}
    spec = RunSpec(**arm, seed=0, baseline=True)
    alone = plain(resolve(spec, str(source)))
    (tmp_path / "foo_wd.py").write_text("_base_ = './foo.py'\ntrain_cfg = dict(max_epochs=1)\n")
    assert plain(resolve(spec, str(source))) == alone
