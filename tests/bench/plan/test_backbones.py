"""Whether a backbone may start from another, and where weights of one are kept."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from wrs_mm.bench.plan.backbones import backbone_shapes, weights_of
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model


@pytest.mark.parametrize(
    "recipe", ["mini/faster-rcnn_r18-narrow_fpn_mini-coco", "pretrain/resnet18-narrow_mini-shapes"]
)
def test_shapes_are_those_of_the_backbone_that_the_model_has(recipe):
    config = load_config(f"wrs_mm::{recipe}.py")
    state = build_model(config).backbone.state_dict()
    built = {key: tuple(value.shape) for key, value in state.items() if "num_batches" not in key}
    assert backbone_shapes(config) == built


def test_a_checkpoint_that_the_config_names_is_not_loaded_and_stays_named():
    config = load_config("mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py")
    assert backbone_shapes(config)["conv1.weight"] == (64, 3, 7, 7)
    assert config.model.backbone.init_cfg.checkpoint == "torchvision://resnet50"


def test_a_model_without_a_backbone_and_one_that_nobody_knows_are_refused():
    with pytest.raises(ConfigError, match="has no backbone"):
        backbone_shapes(Config({"model": {"type": "Linear"}}))
    with pytest.raises(ConfigError, match="its backbone cannot be built"):
        backbone_shapes(Config({"model": {"backbone": {"type": "Nobody"}}, "default_scope": "mmseg"}))


def test_weights_are_in_the_folder_of_the_pretraining_relative_to_where_commands_run():
    spec = RunSpec(recipe="p", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)
    spec = spec.model_copy(update={"pretraining": "0123456789abcdef"})
    assert weights_of(spec).as_posix() == "work_dirs/pretrained/0123456789abcdef/backbone.pt"
