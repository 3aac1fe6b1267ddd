"""From spec to config: any config of mmdet or mmseg is a recipe, and what does not fit it has a line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from mmengine.config import Config
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.resolve import require_packages, resolve
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.errors import ConfigError, PlanError

PLAN = """name: small
recipes: [small]
regularizers: [wd]
seeds: [7]
baseline: wd
"""


@pytest.fixture
def configs(tmp_path: Path):
    """Resolves the arms of a plan beside the small recipe; extra lines go below the plan's five."""
    write_recipe(tmp_path)

    def _configs(extra: str = "", plan: str = PLAN) -> list[Config]:
        path = tmp_path / "plan.yaml"
        path.write_text(plan + extra, encoding="utf-8")
        return [arm.config for arm in resolve_arms(load_plan(path))]

    return _configs


def test_a_run_has_its_seed_and_repeats_exactly(configs):
    (config,) = configs()
    assert config.randomness == {"seed": 7, "deterministic": True}
    assert config.custom_hooks == [{"type": "RandomStateHook"}]


def test_learning_rate_and_optimizer_change_the_optimizer_only(configs):
    recipe, faster, other = configs("learning_rates: [recipe, 0.1]\noptimizers: [recipe]\n") + configs(
        "optimizers: [{AdamW: {lr: 1e-4, betas: [0.9, 0.95]}}]\n"
    )
    assert recipe.optim_wrapper.optimizer.lr == 0.01
    assert faster.optim_wrapper.optimizer == {**recipe.optim_wrapper.optimizer, "lr": 0.1}
    assert other.optim_wrapper.optimizer == {
        "type": "AdamW",
        "lr": 1e-4,
        "weight_decay": 5e-4,
        "betas": [0.9, 0.95],
    }
    for config in (faster, other):
        config.optim_wrapper.optimizer = recipe.optim_wrapper.optimizer
        assert config.to_dict() == recipe.to_dict()


def test_cfg_options_of_the_recipe_come_after_those_of_the_plan(configs):
    plan = PLAN.replace(
        "[small]", "[small, {config: small, name: four, cfg_options: {train_dataloader.batch_size: 4}}]"
    )
    small, four = configs("cfg_options: {train_dataloader.batch_size: 3, load_from: x.pth}\n", plan)
    assert (small.train_dataloader.batch_size, four.train_dataloader.batch_size) == (3, 4)
    assert small.load_from == four.load_from == "x.pth"


def test_links_follow_the_learning_rate_of_each_run(configs):
    swept = "learning_rates: [recipe, 0.1, 0.001]\nlinks: {param_scheduler.1.eta_min: recipe * lr}\n"
    assert [c.param_scheduler[1].eta_min for c in configs(swept)] == [1e-4, 1e-3, 1e-5]
    fixed = "learning_rates: [0.1]\nlinks: {param_scheduler.1.eta_min: 0.5 * lr}\n"
    assert [c.param_scheduler[1].eta_min for c in configs(fixed)] == [0.05]


def test_weight_decay_of_an_arm_is_set_against_that_of_the_optimizer_it_trains_with(configs):
    plan = PLAN.replace("[wd]", "[{wd: {weight_decay: 0.1}}]")
    (config,) = configs("optimizers: [{AdamW: {lr: 1e-4, weight_decay: 0.05}}]\n", plan)
    assert config.optim_wrapper.paramwise_cfg.scale_invariant_decay_mult == pytest.approx(2)


def test_an_arm_has_the_recipes_own_options_and_the_plans_over_them_whatever_lies_beside_it(
    configs, tmp_path
):
    write_recipe(tmp_path, text=f"{RECIPE}\nregularizers = dict(wrs=dict(interval=5, target='init'))\n")
    write_recipe(tmp_path, "small_wrs", "_base_ = './small.py'\nload_from = 'other.pth'\n")
    plan = PLAN.replace("[wd]", "[wd, wrs, {wrs: {target: 0.5}}]")
    _, said, merged = configs("learning_rates: [0.3]\ncfg_options: {load_from: x.pth}\n", plan)
    assert said.optim_wrapper.wrs == {"interval": 5, "target": "init"}
    assert merged.optim_wrapper.wrs == {"interval": 5, "target": 0.5}
    assert said.optim_wrapper.optimizer.lr == 0.3 and said.load_from == "x.pth"
    assert "regularizers" not in said


def test_the_recipes_learning_rate_of_an_arm_gives_way_to_any_that_the_plan_says(configs, tmp_path):
    write_recipe(tmp_path, text=f"{RECIPE}\nregularizers = dict(wrs=dict(lr=0.1))\n")
    plan = PLAN.replace("[wd]", "[wd, wrs, {wrs: {lr: 0.2, interval: 2}}]")
    own = configs("links: {param_scheduler.1.eta_min: recipe * lr}\n", plan)
    assert [config.optim_wrapper.optimizer.lr for config in own] == [0.01, 0.1, 0.2]
    assert [config.param_scheduler[1].eta_min for config in own] == pytest.approx([1e-4, 1e-3, 2e-3])
    for said in ("learning_rates: [0.3]\n", "optimizers: [{AdamW: {lr: 0.3}}]\n"):
        given = configs(said, PLAN.replace("[wd]", "[wd, wrs]"))
        assert [config.optim_wrapper.optimizer.lr for config in given] == [0.3, 0.3]


def test_settings_come_last_and_lr_takes_its_links_along(tmp_path):
    path = write_recipe(
        tmp_path, text=f"{RECIPE}\nregularizers = dict(wrs=dict(interval=5, target='init'))\n"
    )
    config = resolve(
        RunSpec(
            recipe="small",
            regularizer="wrs",
            options={"target": 0.5},
            settings={"lr": 0.1, "target": 2.0},
            optimizer="recipe",
            learning_rate=0.3,
            links={"param_scheduler.1.eta_min": "recipe * lr"},
            seed=0,
            baseline=False,
        ),
        str(path),
    )
    assert config.optim_wrapper.wrs == {"interval": 5, "target": 2.0}
    assert config.optim_wrapper.optimizer.lr == 0.1
    assert config.param_scheduler[1].eta_min == pytest.approx(1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco",
        "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
        "mmdet::detr/detr_r50_8xb2-150e_coco.py",
        "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
        "mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py",
    ],
)
def test_installed_configs_become_arms_without_an_overlay(name, configs):
    plan = PLAN.replace("[small]", f"['{name}']").replace("[wd]", "[none, wd, wrs]")
    none, wd, wrs = configs("optimizers: [recipe, {SGD: {lr: 0.1}}]\n", plan)[:3]
    assert none.optim_wrapper.type.endswith("ScaleInvariantOptimWrapper")
    assert wrs.optim_wrapper.type.endswith("WRSOptimWrapper")
    assert none.optim_wrapper.optimizer == wd.optim_wrapper.optimizer == wrs.optim_wrapper.optimizer
    assert none.model == wd.model == wrs.model


def test_configs_in_mmengines_new_style_and_in_json_are_recipes(configs, tmp_path):
    new = "from mmengine.config import read_base\nfrom torch.optim import SGD\n"
    new += "from mmengine.optim import OptimWrapper\nfrom mmseg.models import EncoderDecoder\n"
    new += RECIPE.replace("'SGD'", "SGD").replace("'EncoderDecoder'", "EncoderDecoder")
    new = new.replace("default_scope = 'mmseg'", "default_scope = None")
    write_recipe(tmp_path, "new", new.replace("'OptimWrapper'", "OptimWrapper"))
    content = Config.fromfile(tmp_path / "small.py").to_dict()
    (tmp_path / "plain.json").write_text(json.dumps(content))
    plan = PLAN.replace("[small]", "[new, plain.json]").replace("[wd]", "[wd, wrs]")
    for config in configs("optimizers: [recipe, {AdamW: {lr: 1e-4}}]\n", plan):
        assert config.optim_wrapper.optimizer.weight_decay == 5e-4
        (tmp_path / "again.py").write_text(config.pretty_text)
        again = Config.fromfile(tmp_path / "again.py")
        assert again.optim_wrapper.get("wrs") == config.optim_wrapper.get("wrs")


# What is wrong in lines below the plan's five, and what the message says of which line.
MISTAKES = {
    "key": ("cfg_options:\n  train_dataloder.x: 1\n", 7, "did you mean train_dataloader"),
    "variable": ("cfg_options:\n  load_from: a\n  data_root: b\n", 8, "data_root is a variable"),
    "into a number": ("cfg_options: {val_dataloader.batch_size.x: 1}\n", 6, "is 1, which has no 'x'"),
    "link": ("links:\n  param_scheduler.9.eta_min: 0.1 * lr\n", 7, "it is a list of 2"),
    "link without recipe value": ("links: {param_scheduler.0.eta_min: recipe * lr}\n", 6, "no 'eta_min'"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_does_not_fit_a_recipe_is_shown_with_its_line(case, configs):
    extra, line, expected = MISTAKES[case]
    with pytest.raises(PlanError) as caught:
        configs(extra)
    message = str(caught.value)
    assert f"plan.yaml, line {line}: recipe 'small': " in message and expected in message
    assert "\n" not in message


def test_recipes_that_cannot_be_compared_are_shown_with_their_line(configs, tmp_path):
    broken = {
        "bad": ("model = dict(", "cannot be read"),
        "pose": (RECIPE.replace("'mmseg'", "'mmpose'"), "default_scope must be mmdet, mmseg or mmpretrain"),
        "blind": (RECIPE.replace("val_evaluator", "other"), "has no validation"),
        "still": (RECIPE.replace("optim_wrapper =", "other ="), "has no 'optim_wrapper'"),
        "apex": (RECIPE.replace("'OptimWrapper'", "'ApexOptimWrapper'"), "cannot stand in for"),
    }
    for name, (text, expected) in broken.items():
        write_recipe(tmp_path, name, text)
        plan = PLAN.replace("[small]", f"[small,\n  {name}]").replace("[wd]", "[wd, wrs]")
        with pytest.raises(PlanError) as caught:
            configs(plan=plan)
        line = 4 if name == "apex" else 3
        assert f"plan.yaml, line {line}: recipe '{name}'" in str(caught.value), name
        assert expected in str(caught.value), name


def test_an_optimizers_missing_package_is_noticed_before_runs_start(configs, monkeypatch):
    wd, projected = configs(plan=PLAN.replace("[wd]", "[wd, projected]"))
    require_packages(projected)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "timm" else found(name))
    require_packages(wd)
    with pytest.raises(ConfigError, match=r"needs timm, .*: pip install 'wrs-mm\[timm\]'"):
        require_packages(projected)
