"""The recipes for small data: batch statistics, from nothing, repeatable; and their plans."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmengine.config import Config

from wrs_mm.datasets import require_dataset
from wrs_mm.datasets.layout import dataset_paths
from wrs_mm.errors import DatasetError
from wrs_mm.openmmlab.configs import load_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
QUICKSTART = [
    "mini/faster-rcnn_r18-narrow_fpn_mini-coco",
    "mini/pspnet_r18-narrow_mini-cityscapes",
]
UNTUNED = {
    "mini/retinanet_r18-narrow_fpn_mini-coco": "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
    "mini/fcn_r18-narrow_mini-cityscapes": "mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py",
}
RECIPES = [
    *QUICKSTART,
    *(f"{recipe}_long" for recipe in QUICKSTART),
    *UNTUNED,
    "real/faster-rcnn_r18-narrow_fpn_neon",
    "real/pspnet_r18-narrow_nuclei",
]


def _load(name: str) -> Config:
    return Config.fromfile(CONFIGS / f"{name}.py", import_custom_modules=False)


def _plain(node: Any) -> Any:
    """A part of a config without the ``_scope_`` that mmengine adds to what is of another package."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if key != "_scope_"}
    return node


def _values(node: Any, key: str) -> list[Any]:
    """All values of a key anywhere in a config."""
    if isinstance(node, dict):
        found = [node[key]] if key in node else []
        return found + [value for child in node.values() for value in _values(child, key)]
    if isinstance(node, list | tuple):
        return [value for child in node for value in _values(child, key)]
    return []


def _evaluation(cfg: Config, split: str) -> dict[str, Any]:
    """How a split is read and scored."""
    return {part: cfg.to_dict()[f"{split}_{part}"] for part in ("dataloader", "evaluator")}


def _files(node: Any) -> set[str]:
    """The annotation files and folders of images that a part of a config reads."""
    prefixes = [path for prefix in _values(node, "data_prefix") for path in prefix.values()]
    return {*_values(node, "ann_file"), *prefixes} - {""}


def _renamed(node: Any, old: str, new: str) -> Any:
    """A part of a config with every path of one split replaced by that of another."""
    if isinstance(node, dict):
        return {key: _renamed(value, old, new) for key, value in node.items()}
    return node.replace(old, new) if isinstance(node, str) and "/" in node else node


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_normalizes_with_batch_statistics_and_starts_from_nothing(recipe: str) -> None:
    model = _load(recipe).to_dict()["model"]
    kinds = {norm["type"] for norm in _values(model, "norm_cfg") if norm}
    assert kinds == {"BN"}
    assert not any(_values(model, "norm_eval"))
    assert set(_values(model, "frozen_stages")) <= {-1}
    assert not any(_values(model, "pretrained"))
    assert not any(init and "Pretrained" in str(init) for init in _values(model, "init_cfg"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_repeats_exactly(recipe: str) -> None:
    cfg = _load(recipe)
    assert cfg.randomness == {"seed": 0, "deterministic": True}
    for split in ("train", "val", "test"):
        loader = cfg[f"{split}_dataloader"]
        assert loader.num_workers == 0 and not loader.persistent_workers


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_test_split_is_read_as_val_is_from_folders_of_its_own(recipe: str) -> None:
    cfg = _load(recipe)
    parts = {split: _evaluation(cfg, split) for split in ("val", "test")}
    assert _files(parts["val"]) and not _files(parts["val"]) & _files(parts["test"])
    assert _renamed(parts["val"], "val", "test") == parts["test"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_schedule_ends_with_training(recipe: str) -> None:
    cfg = _load(recipe)
    last = cfg.param_scheduler[-1]
    if last.by_epoch:
        assert last.end == cfg.train_cfg.max_epochs
    else:
        assert last.end == (cfg.get("iterations") or cfg.train_cfg.max_iters)
    assert last.begin + last.get("T_max", last.end) == last.end


@pytest.mark.parametrize(("recipe", "toolbox"), UNTUNED.items())
def test_a_recipe_that_nobody_tuned_has_the_optimizer_of_its_toolbox(recipe: str, toolbox: str) -> None:
    assert _plain(_load(recipe).optim_wrapper) == _plain(load_config(toolbox).optim_wrapper)


@pytest.mark.parametrize("recipe", QUICKSTART)
def test_a_long_recipe_trains_the_same_with_fewer_images_for_longer(recipe: str) -> None:
    short, long = _load(recipe), _load(f"{recipe}_long")
    assert long.optim_wrapper == short.optim_wrapper
    images = long.train_dataloader.dataset.indices
    steps = long.get("iterations") or long.train_cfg.max_iters
    if "iterations" in long:
        assert steps == long.train_cfg.max_epochs * math.ceil(images / long.train_dataloader.batch_size)
    assert steps >= 2 * (short.get("iterations") or short.train_cfg.max_iters)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("arm", ["none", "wd", "wrs", "wrs_matched"])
def test_overlay_changes_the_optimizer_wrapper_and_nothing_else(recipe: str, arm: str) -> None:
    base, overlay = _load(recipe).to_dict(), _load(f"{recipe}_{arm}").to_dict()
    base_wrapper, wrapper = base.pop("optim_wrapper"), overlay.pop("optim_wrapper")
    assert overlay == base
    assert wrapper["optimizer"] == base_wrapper["optimizer"]
    expected = {
        "none": "ScaleInvariantOptimWrapper",
        "wd": "OptimWrapper",
        "wrs": "WRSOptimWrapper",
        "wrs_matched": "WRSOptimWrapper",
    }
    assert wrapper["type"] == expected[arm]
    assert (wrapper == base_wrapper) == (arm == "wd")


@pytest.mark.parametrize("recipe", RECIPES)
def test_missing_data_is_reported_with_the_command_that_makes_it(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = _load(recipe)
    assert len(list(dataset_paths(cfg))) >= 6
    with pytest.raises(DatasetError, match=f"wrs-mm data make {recipe.split('/')[0]}"):
        require_dataset(cfg)


@pytest.mark.parametrize("name", ["mini", "real"])
def test_plan_compares_the_recipes_of_its_folder(name: str) -> None:
    plan = yaml.safe_load((CONFIGS / "benchmarks" / f"{name}.yaml").read_text())
    assert plan["name"] == name
    tuned = [f"{recipe}_tuned" for recipe in QUICKSTART]
    assert plan["recipes"] == {"mini": tuned, "real": RECIPES[-2:]}[name]
    arms = {"mini": ["wd", "wrs", "wrs_matched"], "real": ["none", "wd", "wrs"]}[name]
    assert plan["regularizers"] == arms and plan["baseline"] == "wd"
    assert plan.get("optimizers", ["recipe"]) == ["recipe"] and plan["seeds"] == [0]
