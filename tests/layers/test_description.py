"""A config whose model is built by one of our builders: nothing else moves; pretrained ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.registry import MODELS

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.layers.description import with_builder
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.regularizers import apply_regularizer

MODEL: dict[str, Any] = {"type": "RetinaNet", "backbone": {"type": "ResNet", "init_cfg": None}}


def test_the_models_keys_stay_where_they_are() -> None:
    assert with_builder({"model": MODEL}, "Built", "ic", p=0.1) == {
        "model": {"type": "Built", "of": "RetinaNet", "p": 0.1, "backbone": MODEL["backbone"]}
    }
    assert MODEL["type"] == "RetinaNet"


def test_a_class_is_named_by_its_import_path() -> None:
    from mmdet.models.detectors import RetinaNet

    made = with_builder({"model": {**MODEL, "type": RetinaNet}}, "Built", "ws")
    assert made["model"]["of"] == "mmdet.models.detectors.retinanet.RetinaNet"


def test_without_a_model_nothing_changes() -> None:
    assert with_builder({"optim_wrapper": {}}, "Built", "ws") == {}


@pytest.mark.parametrize(
    "cfg",
    [
        {"model": MODEL, "load_from": "trained.pth"},
        {"model": {**MODEL, "pretrained": "open-mmlab://resnet50_v1c"}},
        {
            "model": {
                **MODEL,
                "backbone": {"type": "ResNet", "init_cfg": {"type": "Pretrained", "checkpoint": "x"}},
            }
        },
        {"model": {**MODEL, "backbone": {"init_cfg": [{"type": "Kaiming"}, {"type": "PretrainedInit"}]}}},
    ],
)
def test_pretrained_weights_are_refused_in_one_line(cfg: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="ws: the recipe starts from pretrained weights") as caught:
        with_builder(cfg, "Built", "ws")
    assert "\n" not in str(caught.value)


def test_an_arm_is_made_of_a_recipe_and_not_of_an_arm() -> None:
    made = with_builder({"model": MODEL}, "Built", "ws")
    with pytest.raises(OptionError, match="the config's model is a Built already"):
        with_builder(made, "Other", "ic")


@pytest.mark.parametrize("arm", ["ws", "ic"])
def test_pretrained_weights_that_came_later_are_refused_when_the_model_is_built(arm: str) -> None:
    """As ``--pretrained`` and ``--cfg-options`` bring them to an arm's config."""
    recipe = Path(__file__).resolve().parents[2] / "configs" / "mini" / "fcn_r18-narrow_mini-cityscapes.py"
    model = apply_regularizer(load_config(recipe), arm).model
    model.backbone.init_cfg = {"type": "Pretrained", "checkpoint": "trained.pth"}
    with pytest.raises(ModelError, match=f"^{arm}: the model starts from pretrained weights") as caught:
        MODELS.build(model)
    assert "\n" not in str(caught.value)
