"""A config by dotted key: what leads nowhere is refused, not added."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from small_recipe import write_recipe

from wrs_mm.bench.plan.config_keys import OWNED, flatten, lookup, override, read_keys
from wrs_mm.errors import ConfigError


@pytest.fixture
def config(tmp_path) -> Config:
    return Config.fromfile(write_recipe(tmp_path))


def test_leaves_have_dotted_keys_with_list_positions(config):
    leaves = flatten(config.to_dict())
    assert leaves["param_scheduler.1.power"] == 0.9
    assert leaves["train_dataloader.dataset.pipeline.1.scale"] == (64, 32)
    assert flatten({"a": {}, "b": [], "c": [1, 2]}) == {"a": {}, "b": [], "c": [1, 2]}
    assert all(lookup(config, key) == value for key, value in leaves.items())


def test_override_sets_existing_keys_and_adds_the_last_part_of_new_ones(config):
    override(
        config,
        {
            "train_dataloader.batch_size": 8,
            "param_scheduler.0.end": 7,
            "model.backbone.with_cp": True,
            "train_cfg": {"max_iters": 3},
            "val_dataloader.dataset": {"data_root": "elsewhere"},
        },
    )
    assert config.train_dataloader.batch_size == 8
    assert config.param_scheduler[0].end == 7
    assert config.model.backbone.with_cp is True and config.model.backbone.depth == 18
    assert config.train_cfg.max_iters == 3
    assert config.val_dataloader.dataset.data_root == "elsewhere"
    assert config.val_dataloader.dataset.type == "BaseSegDataset"


def test_a_list_in_place_of_a_tuple_becomes_one(config):
    override(config, {"train_dataloader.dataset.pipeline.1.scale": [128, 96]})
    assert config.train_dataloader.dataset.pipeline[1].scale == (128, 96)


MISTAKES = {
    "train_dataloder.batch_size": "did you mean train_dataloader?",
    "train_dataloader.datset.data_root": "has no 'datset'; did you mean dataset?",
    "param_scheduler.2.eta_min": "param_scheduler has no '2', it is a list of 2",
    "data_root": "data_root is a variable of the config's file .*train_dataloader.dataset.data_root",
    "base_lr": "base_lr is a variable .*optim_wrapper.clip_grad.max_norm, optim_wrapper.optimizer.lr",
    "pipeline": "pipeline is a variable of the config's file that nothing reads afterwards$",
}


@pytest.mark.parametrize("key", MISTAKES)
def test_a_key_that_no_one_would_read_is_refused_and_changes_nothing(key, config):
    before = config.to_dict()
    with pytest.raises(ConfigError, match=MISTAKES[key]):
        override(config, {key: 1})
    assert config.to_dict() == before


def test_keys_of_the_harness_are_not_among_those_that_a_plan_may_set():
    assert {"model", "optim_wrapper", "randomness", "custom_imports"} <= read_keys()
    assert not read_keys() & {*OWNED, "cfg", "self"}
