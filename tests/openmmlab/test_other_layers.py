"""Trainings of models with other layers (wrs_mm.layers.weight_standardization, .independent_components).

Saved, loaded by whoever builds the model from the config, killed and resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from trainings import final, train, train_killed

from wrs_mm.borrowed import seeded
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import random_batch
from wrs_mm.openmmlab.training import test as run_test
from wrs_mm.openmmlab.training import train as train_here
from wrs_mm.regularizers import apply_regularizer

LAYERS = {"ws": "ConvWS2d", "ic": "IndependentConv2d"}

CHANGES = {
    "detector": "train_cfg.update(max_epochs=1, val_interval=1)\ntrain_dataloader.update(batch_size=2)\n",
    "segmentor": "",
}


def write_arm(recipe: Path, arm: str) -> Path:
    path = recipe.with_name(f"{recipe.stem}_{arm}.py")
    apply_regularizer(load_config(recipe), arm).dump(path)
    return path


def count(model: nn.Module, arm: str) -> int:
    return sum(type(module).__name__ == LAYERS[arm] for module in model.modules())


@torch.no_grad()
def features(model: nn.Module) -> list[Tensor]:
    """What the backbone and the neck give in eval mode."""
    model.eval()
    data = model.data_preprocessor(random_batch(model, size=(32, 32)), training=False)
    return list(model.extract_feat(data["inputs"]))


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(a.equal(b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("arm", LAYERS)
@pytest.mark.parametrize("kind", CHANGES)
def test_whoever_builds_the_model_from_the_config_has_what_was_trained(
    kind: str, arm: str, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = write_config(kind, CHANGES[kind])
    config = write_arm(recipe, arm)
    with seeded(0):
        trained = train_here(config, work_dir=tmp_path / "trained")
    expected = features(trained.model)
    checkpoint = (tmp_path / "trained" / "last_checkpoint").read_text()
    assert count(trained.model, arm) >= 16

    # mmengine's own Runner, which knows nothing of us but custom_imports.
    cfg = load_config(config)
    cfg.work_dir, cfg.load_from = str(tmp_path / "runner"), checkpoint
    runner = Runner.from_cfg(cfg)
    metrics = runner.test()
    assert equal(features(runner.model), expected)
    assert run_test(config, checkpoint, work_dir=tmp_path / "tested") == metrics

    # The toolbox's own way to a model for inference: no Runner at all.
    assert equal(features(init(kind)(str(config), checkpoint, device="cpu")), expected)
    # The recipe's model with these weights is another network: the test can fail.
    assert not equal(features(init(kind)(str(recipe), checkpoint, device="cpu")), expected)


def init(kind: str) -> Callable[..., nn.Module]:
    if kind == "detector":
        from mmdet.apis import init_detector

        return init_detector
    from mmseg.apis import init_model

    return init_model


@pytest.mark.slow
@pytest.mark.parametrize("arm", LAYERS)
@pytest.mark.parametrize("kind", CHANGES)
def test_killed_and_resumed_it_is_the_training_that_was_not(
    kind: str, arm: str, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    shorter = {
        "detector": "train_cfg.update(max_epochs=2, val_interval=2)\n"
        "default_hooks.update(checkpoint=dict(by_epoch=False, interval=1))\n",
        "segmentor": "custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)\n",
    }
    config = write_arm(write_config(kind, f"randomness = dict(seed=0)\n{shorter[kind]}"), arm)
    train(config, tmp_path / "whole")
    train_killed(config, tmp_path / "killed", 3)
    whole, resumed = final(tmp_path / "whole"), final(tmp_path / "killed")
    assert len(whole) > 50 and whole.keys() == resumed.keys()
    assert all(whole[name].equal(resumed[name]) for name in whole)
