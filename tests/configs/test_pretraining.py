"""The recipes that pretrain a backbone: whose backbone it is, every arm of them, and ImageNet's at full size."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from arms import CONFIGS, documented_counts, plain, recipes_in
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from shapes import render_few

from wrs_mm import regularizers
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.datasets import require_dataset, standin
from wrs_mm.datasets.mini import Rendering
from wrs_mm.errors import DatasetError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.pretrained import watched
from wrs_mm.openmmlab.pretrained_config import start_from
from wrs_mm.borrowed import seeded
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.openmmlab.training import train
from wrs_mm.regularizers import apply_regularizer

RECIPES = recipes_in("pretrain")
MINI = ("resnet18-narrow_mini-shapes", "resnet18-v1c-narrow_mini-shapes")
FULL = ("resnet50_8xb32_in1k", "resnet50-v1c_8xb32_in1k")

TARGETS = {
    "mini/faster-rcnn_r18-narrow_fpn_mini-coco": MINI[0],
    "mini/retinanet_r18-narrow_fpn_mini-coco": MINI[0],
    "real/faster-rcnn_r18-narrow_fpn_neon": MINI[0],
    "mini/pspnet_r18-narrow_mini-cityscapes": MINI[1],
    "mini/fcn_r18-narrow_mini-cityscapes": MINI[1],
    "real/pspnet_r18-narrow_nuclei": MINI[1],
    "coco/faster-rcnn_r50_fpn_syncbn_1x_coco": FULL[0],
    "cityscapes/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024": FULL[1],
}
"""Recipes to finetune with, and what pretrains their backbones."""


def load(recipe: str) -> Any:
    return load_config(CONFIGS / f"{recipe}.py")


def test_these_are_all_recipes() -> None:
    assert sorted(RECIPES) == sorted([*MINI, *FULL])


@pytest.mark.parametrize(("target", "recipe"), TARGETS.items())
def test_a_pretrained_checkpoint_fits_the_backbone_of_the_target_whole(
    target: str, recipe: str, tmp_path: Path
) -> None:
    trained = build_model(load(f"pretrain/{recipe}"), seed=1)
    torch.save({"meta": {}, "state_dict": trained.state_dict()}, tmp_path / "epoch_10.pth")
    config = load(target)
    start_from(config, tmp_path / "epoch_10.pth")
    assert config.model.backbone.init_cfg.prefix == "backbone."
    model = build_model(config)
    model.backbone.init_cfg = config.model.backbone.init_cfg.to_dict()
    model.backbone._is_init = False
    with watched(model) as matches:
        model.backbone.init_weights()
    [match] = matches
    assert match.part == "backbone" and match.matched == match.wanted and not match.unused
    state = trained.backbone.state_dict()
    assert len(match.wanted) > 90
    assert all(value.equal(state[name]) for name, value in model.backbone.state_dict().items())


@pytest.mark.parametrize("other", [MINI, MINI[::-1]])
def test_the_other_ones_checkpoint_does_not_fit_whole(other: tuple[str, str], tmp_path: Path) -> None:
    one, target = other
    trained = build_model(load(f"pretrain/{one}"))
    torch.save(trained.state_dict(), tmp_path / "one.pth")
    config = load(f"pretrain/{target}")
    start_from(config, tmp_path / "one.pth")
    model = build_model(config)
    model.backbone.init_cfg = config.model.backbone.init_cfg.to_dict()
    model.backbone._is_init = False
    with watched(model) as matches:
        model.backbone.init_weights()
    [match] = matches
    stems = ("stem.", "conv1.", "bn1.")
    assert match.missing and all(name.startswith(stems) for name in match.missing | match.unused)


@pytest.mark.parametrize("arm", regularizers.names())
@pytest.mark.parametrize("recipe", MINI)
def test_every_arm_trains(recipe: str, arm: str) -> None:
    config = apply_regularizer(load(f"pretrain/{recipe}"), arm)
    model = build_model(config)
    before = copy.deepcopy(model.state_dict())
    wrapper = build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
    losses = []
    with seeded(1):
        for step in range(3):
            batch = random_batch(model, batch_size=4, size=(64, 64), seed=step)
            losses.append(float(model.train_step(batch, wrapper)["loss"]))
    assert all(map(math.isfinite, losses))
    assert losses[0] == pytest.approx(math.log(20), rel=0.1)
    moved = [name for name, value in model.named_parameters() if not value.equal(before[name])]
    assert len(moved) > len(list(model.parameters())) / 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_documented_numbers_of_weights_are_those_found(recipe: str) -> None:
    model = build_model(load(f"pretrain/{recipe}"))
    verdicts = audit_model(model, random_batch(model, size=(64, 64)))
    found = (sum(v.selected for v in verdicts), len(verdicts))
    assert documented_counts("pretrain")[recipe] == found


@pytest.mark.parametrize("recipe", MINI)
def test_the_small_ones_repeat_exactly_and_their_schedule_ends_with_the_training(recipe: str) -> None:
    cfg = load(f"pretrain/{recipe}")
    assert cfg.randomness == {"seed": 0, "deterministic": True}
    loaders = [cfg[f"{split}_dataloader"] for split in ("train", "val", "test")]
    assert all(loader.num_workers == 0 and not loader.persistent_workers for loader in loaders)
    assert [loader.dataset.data_prefix.img_path for loader in loaders] == ["train", "val", "test"]
    last = cfg.param_scheduler[-1]
    assert last.begin + last.T_max == last.end == cfg.iterations
    assert cfg.iterations == cfg.train_cfg.max_epochs * math.ceil(20_000 / cfg.train_dataloader.batch_size)


def test_the_small_ones_differ_in_the_backbone_alone() -> None:
    one, other = (plain(load(f"pretrain/{recipe}")) for recipe in MINI)
    assert one["model"].pop("backbone")["type"] == "mmdet.ResNet"
    assert other["model"].pop("backbone")["type"] == "mmseg.ResNetV1c"
    assert one == other


@pytest.mark.parametrize("recipe", RECIPES)
def test_missing_data_is_missed(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = load(f"pretrain/{recipe}")
    said = "wrs-mm data make shapes" if recipe in MINI else "data/imagenet/train does not exist"
    with pytest.raises(DatasetError, match=said):
        require_dataset(cfg)
    if recipe in MINI:
        render_few(tmp_path / "data")
        require_dataset(cfg)


def test_imagenets_schedule_is_that_of_its_source() -> None:
    """mmpretrain 1.2, configs/_base_/schedules/imagenet_bs256.py and datasets/imagenet_bs32.py, by hand."""
    for recipe in FULL:
        cfg = load(f"pretrain/{recipe}")
        assert cfg.optim_wrapper.optimizer == {
            "type": "SGD",
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 0.0001,
        }
        [steps] = cfg.param_scheduler
        assert (steps.type, steps.milestones, steps.gamma, steps.by_epoch) == (
            "MultiStepLR",
            [30, 60, 90],
            0.1,
            True,
        )
        assert cfg.train_cfg.max_epochs == 100 and cfg.train_dataloader.batch_size == 32
        assert cfg.auto_scale_lr.base_batch_size == 8 * 32
        assert cfg.model.data_preprocessor.mean == [123.675, 116.28, 103.53]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """standin-imagenet, two images of each class to train on."""
    root = tmp_path_factory.mktemp("imagenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standin, "PER_CLASS", {"train": 2, "val": 1})
        patch.setattr(Rendering, "write", _write_only_imagenet(Rendering.write))
        standin.render_standins(root)
    return root / "standin-imagenet"


def _write_only_imagenet(write: Any) -> Any:
    return lambda self, root, seed: write(self, root, seed) if "imagenet" in self.name else root / self.name


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["wd", "wrs"])
def test_imagenets_recipe_trains_at_full_size_on_the_stand_in(
    arm: str, imagenet: Path, tmp_path: Path
) -> None:
    """ResNet-50, 1000 classes, crops of 224: two updates, then val."""
    config = load(f"pretrain/{FULL[0]}")
    for split in ("train", "val"):
        loader = config[f"{split}_dataloader"]
        loader.dataset.data_root = str(imagenet)
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    config.train_dataloader.dataset.indices = 4
    config.val_dataloader.dataset.indices = 2
    config.train_cfg.update(max_epochs=1)
    config.experiment_name = f"imagenet-{arm}-{tmp_path.name}"
    runner: Runner = train(apply_regularizer(config, arm), work_dir=tmp_path / arm)
    assert runner.iter == 2
    first = runner.message_hub.get_scalar("train/loss").data[0][0]
    assert float(first) == pytest.approx(math.log(1000), rel=0.2)
    assert 0 <= runner.message_hub.get_scalar("val/accuracy/top5").current() <= 100
    norms = runner.model.backbone.layer3[0].conv1.weight.flatten(1).norm(dim=1)
    assert bool((norms - 1).abs().max() < 1e-5) == (arm == "wrs")
