"""What protects a training, in its config.

same_buffers_hook.py in several processes: test_same_buffers_hook.py.
"""

from __future__ import annotations

import pytest
from mmengine.config import Config

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.protection.protect import caching_transforms, keep_checkpoints, protect_config


@pytest.mark.parametrize(
    ("hook", "kept"),
    [
        ({"type": "CheckpointHook", "max_keep_ckpts": 1}, 2),
        ({"type": "CheckpointHook", "max_keep_ckpts": 3}, 3),
        ({"type": "CheckpointHook"}, None),
        (None, None),
    ],
)
def test_a_recipe_keeps_at_least_two(hook, kept):
    config = Config({"default_hooks": {"checkpoint": hook}} if hook else {})
    keep_checkpoints(config)
    assert config.default_hooks.checkpoint.get("max_keep_ckpts") == kept
    assert config.default_hooks.checkpoint.type == "SafeCheckpointHook"


def test_a_recipe_without_checkpoints_and_one_with_a_hook_of_its_own_keep_what_they_have():
    config = Config({"default_hooks": {"checkpoint": None}})
    keep_checkpoints(config)
    assert config.default_hooks.checkpoint is None
    config = Config({"default_hooks": {"checkpoint": {"type": "Mine", "max_keep_ckpts": 1}}})
    keep_checkpoints(config)
    assert config.default_hooks.checkpoint.to_dict() == {"type": "Mine", "max_keep_ckpts": 2}


def test_hooks_that_are_missing_come_last_and_those_that_are_there_stay() -> None:
    own = {"type": "RandomStateHook", "sample_seeds": True}
    config = Config({"custom_hooks": [own, {"type": "EMAHook"}]})
    protect_config(config)
    protect_config(config)
    assert config.custom_hooks[0].to_dict() == own
    assert [hook.type for hook in config.custom_hooks] == ["RandomStateHook", "EMAHook", "SameBuffersHook"]
    assert config.default_hooks.checkpoint.type == "SafeCheckpointHook"


def test_transforms_that_keep_images_for_the_next_sample_are_found_in_rtmdet_and_in_no_mini_recipe() -> None:
    rtmdet = load_config("mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
    assert caching_transforms(rtmdet.train_dataloader) == ["CachedMixUp", "CachedMosaic"]
    yolox = load_config("mmdet::yolox/yolox_s_8xb8-300e_coco.py")
    assert caching_transforms(yolox.train_dataloader) == []
    assert caching_transforms(None) == []
