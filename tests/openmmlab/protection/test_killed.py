"""A training that is killed with signal 9 and resumed is the one that was not, in all that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from trainings import final, train, train_killed

pytestmark = pytest.mark.slow

# Three passes of an infinite sampler, resumed from the middle of the second; the network drops out.
SEGMENTOR = """
randomness = dict(seed=0)
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)
train_dataloader['dataset'] = dict(train_dataloader['dataset'], pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=(24, 24)), dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')])
train_cfg.update(max_iters=6, val_interval=4)
default_hooks['checkpoint'].update(interval=3)
"""

# Three epochs, resumed from the middle of the second; each sample picks three further ones.
DETECTOR = """
randomness = dict(seed=0)
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)
train_dataloader.update(dataset=dict(
    _delete_=True, type='MultiImageMixDataset',
    dataset=dict(
        type='CocoDataset', data_root=data_root, ann_file='train.json', data_prefix=dict(img='images/'),
        metainfo=dict(classes=('a', 'b')),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]),
    pipeline=[
        dict(type='Mosaic', img_scale=(32, 32)), dict(type='Resize', scale=(32, 32)),
        dict(type='PhotoMetricDistortion'), dict(type='RandomFlip', prob=0.5),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape', 'flip'))]))
train_cfg.update(max_epochs=3, val_interval=3)
default_hooks.update(checkpoint=dict(by_epoch=False, interval=3))
"""

KINDS = {"segmentor": (SEGMENTOR, 4), "detector": (DETECTOR, 4)}

WORKERS = {
    "none": "dict(num_workers=0, persistent_workers=False)",
    "two": "dict(num_workers=2, persistent_workers=False)",
    "four, persistent": "dict(num_workers=4, persistent_workers=True)",
}

LEFT_OUT = "custom_hooks = [dict(type='RandomStateHook', sample_seeds=False)]\n"
"""What leaves random numbers to OpenMMLab."""


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize("kind", KINDS)
def test_with_any_number_of_workers_it_is_one_training(
    kind: str, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    text, kill_at = KINDS[kind]
    train(write_config(kind, f"{text}train_dataloader.update({WORKERS['none']})"), tmp_path / "whole")
    whole = final(tmp_path / "whole")
    assert len(whole) > 50
    for name, loader in WORKERS.items():
        config = write_config(kind, f"{text}train_dataloader.update({loader})")
        train_killed(config, tmp_path / name, kill_at)
        assert equal(final(tmp_path / name), whole), name


@pytest.mark.parametrize("kind", KINDS)
def test_left_out_samples_are_those_of_a_training_without_protection(
    kind: str, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    text, _ = KINDS[kind]
    protections = {"left out": (LEFT_OUT, True), "unprotected": ("", False), "protected": ("", True)}
    weights = {}
    for name, (hook, protected) in protections.items():
        train(write_config(kind, f"{text}{hook}"), tmp_path / name, protected=protected)
        # Before the first validation, after which protection puts the generators' states back.
        weights[name] = torch.load(tmp_path / name / "iter_3.pth", weights_only=False)["state_dict"]
    assert equal(weights["left out"], weights["unprotected"])
    assert not equal(weights["left out"], weights["protected"])


@pytest.mark.parametrize("protected", [True, False])
def test_as_recipes_are_it_is_one_training_unless_protection_is_left_out(
    protected: bool, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config("segmentor", SEGMENTOR)
    train(config, tmp_path / "whole", protected=protected)
    train_killed(config, tmp_path / "killed", 4, protected=protected)
    one, other = final(tmp_path / "whole"), final(tmp_path / "killed")
    assert equal(one, other) == protected
