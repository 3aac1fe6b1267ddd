"""Arms of the toolboxes' own configs, across their families: only what an arm declares changes.

The models are built as the configs say, with random weights (BEiT and MAE narrower), and train a step.
"""

from __future__ import annotations

import copy
import importlib.machinery
import importlib.util
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from arms import plain
from group_settings import settings
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from wrs_mm.borrowed import seeded
from wrs_mm.errors import ModelError, OptionError
from wrs_mm.openmmlab.configs import config_reader
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.rescaling.functional import filter_norms
from wrs_mm.values import type_name

load_config = config_reader()

SETTINGS = ("wd", "none", "wrs", "wrs_matched", "hyperball", "rotational", "scale_lr", "shifted", "pbwn")
"""Arms that change what is done to the model's weights, and with which settings."""

FOLLOWING = {"wrs_matched", "rotational", "shifted"}
"""Those that need the recipe's weight decay."""

NARROW_VIT = {
    "model.backbone.embed_dims": 24,
    "model.backbone.num_heads": 2,
    "model.backbone.img_size": (64, 64),
    "model.neck.embed_dim": 24,
    "model.decode_head.in_channels": [24] * 4,
    "model.decode_head.channels": 16,
    "model.auxiliary_head.in_channels": 24,
    "model.auxiliary_head.channels": 16,
}
"""Changes that make BEiT and MAE small, but not their layers fewer: layer decay counts those."""

TRAINED: dict[str, dict[str, Any]] = {
    "mmdet::yolox/yolox_nano_8xb8-300e_coco": {},
    "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco": {},
    "mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco": {},
    "mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco": {},
    "mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco": {},
    "mmseg::beit/beit-base_upernet_8xb2-160k_ade20k-640x640": NARROW_VIT,
    "mmseg::beit/beit-large_upernet_8xb1-amp-160k_ade20k-640x640": NARROW_VIT,
    "mmseg::mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512": NARROW_VIT,
    "mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512": {},
    "mmseg::segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512": {},
    "mmseg::pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes": {},
    "mmseg::ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024": {},
    "mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024": {},
    "mmseg::mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024": {},
    "mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024": {},
}
"""Configs whose models train a step within seconds, and what is changed to that end."""

TRAINED_SLOWLY: dict[str, dict[str, Any]] = {
    "mmdet::foveabox/fovea_r50_fpn_gn-head-align_4xb4-2x_coco": {},
    "mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco": {},
    "mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco": {},
    "mmseg::knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512": {},
    "mmseg::swin/swin-tiny-patch4-window7_upernet_1xb8-20k_levir-256x256": {},
}
"""The same of larger models."""

NOTHING_TO_ACT_ON = {
    "mmdet::detr/detr_r18_8xb2-500e_coco": "every BN that a trained weight feeds is frozen: set norm_eval",
    "mmdet::swin/retinanet_swin-t-p4-w7_fpn_1x_coco": "nothing in this model is scale-invariant: ",
    "mmdet::pvt/retinanet_pvt-t_fpn_1x_coco": "nothing in this model is scale-invariant: ",
}
"""Configs in which no weight is scale-invariant, and why there is nothing to rescale."""

READ_ONLY = (
    "mmdet::rtmdet/rtmdet_l_convnext_b_4xb32-100e_coco",
    "mmdet::convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco",
    "mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco",
    "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco",
    "mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco",
    "mmdet::dino/dino-4scale_r50_8xb2-12e_coco",
    "mmdet::queryinst/queryinst_r50_fpn_1x_coco",
    "mmseg::convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512",
    "mmseg::poolformer/fpn_poolformer_s12_8xb4-40k_ade20k-512x512",
    "mmseg::setr/setr_vit-l_naive_8xb2-160k_ade20k-512x512",
    "mmseg::vpd/vpd_sd_4xb8-25k_nyu-480x480",
)
"""Configs of which only the arms are made: their models are large, or need packages that may be missing."""

FROZEN_BN = {
    "mmdet::foveabox/fovea_r50_fpn_gn-head-align_4xb4-2x_coco",
    "mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco",
}
"""Those whose BN is all frozen: their arms need ``frozen_bn='fold'``."""

NO_WEIGHT_DECAY = {
    "mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco",
    "mmseg::setr/setr_vit-l_naive_8xb2-160k_ade20k-512x512",
}
"""Those whose optimizer has none that an arm could follow."""

STEPPED: dict[str, dict[str, Any]] = {
    "hyperball": {},
    "rotational": {},
    "scale_lr": {"power": 1},
    "shifted": {"epsilon": 1.0},
    "pbwn": {"interval": 1},
    "wrs_matched": {},
}
"""Arms that act on single weights in each step, with options that make the first one differ."""

FROM_SCRATCH = {
    "mmdet::yolox/yolox_nano_8xb8-300e_coco",
    "mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco",
    "mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco",
    "mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024",
    "mmseg::swin/swin-tiny-patch4-window7_upernet_1xb8-20k_levir-256x256",
}
"""Those that start from random weights."""

CONFIGS = (*TRAINED, *TRAINED_SLOWLY, *NOTHING_TO_ACT_ON, *READ_ONLY)


@pytest.fixture(autouse=True)
def mmpretrain(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty package where mmpretrain is missing, so that configs that import it can be read."""
    if importlib.util.find_spec("mmpretrain") is None:
        for name in ("mmpretrain", "mmpretrain.models"):
            module = types.ModuleType(name)
            module.__spec__ = importlib.machinery.ModuleSpec(name, None)
            monkeypatch.setitem(sys.modules, name, module)


def undone(arm: Config) -> dict[str, Any]:
    """An arm without what it declares: the recipe, if nothing else has changed."""
    content = plain(arm)
    imports = content["custom_imports"]
    assert imports["imports"][-1] == "wrs_mm"
    imports["imports"].remove("wrs_mm")
    if not imports["imports"]:
        del content["custom_imports"]
    wrapper = content["optim_wrapper"]
    for key in ("wrs", "scale_invariance", "rule", "pbwn"):
        wrapper.pop(key, None)
    if "scale_invariant_decay_mult" in (wrapper.get("paramwise_cfg") or {}):
        del wrapper["paramwise_cfg"]["scale_invariant_decay_mult"]
    if type_name(wrapper.get("constructor", "")) == "ScaleInvariantOptimWrapperConstructor":
        del wrapper["constructor"]
    if "base_constructor" in wrapper:
        wrapper["constructor"] = wrapper.pop("base_constructor")
    ours = r"(ScaleInvariant|WRS|StepRule|PBWN)OptimWrapper$"
    wrapper["type"] = re.sub(ours, "OptimWrapper", wrapper["type"])
    return content


@pytest.mark.parametrize("name", CONFIGS)
def test_an_arm_of_any_config_changes_what_it_declares_and_nothing_else(name: str) -> None:
    recipe = load_config(name)
    before = plain(recipe)
    for arm in SETTINGS:
        if arm in FOLLOWING and name in NO_WEIGHT_DECAY:
            with pytest.raises(OptionError, match=r"there is none|has no weight_decay to go by"):
                apply_regularizer(recipe, arm)
            continue
        # A recipe without a paramwise_cfg, or with None, says the same with an empty one.
        made, own = undone(apply_regularizer(recipe, arm)), copy.deepcopy(before)
        for content in (made, own):
            # One package may be named without a list.
            imports = content.get("custom_imports", {})
            if isinstance(imports.get("imports"), str):
                imports["imports"] = [imports["imports"]]
            content["optim_wrapper"].setdefault("type", "OptimWrapper")
            content["optim_wrapper"]["paramwise_cfg"] = content["optim_wrapper"].get("paramwise_cfg") or {}
        assert made == own, arm
    assert plain(recipe) == before


@pytest.mark.parametrize("name", CONFIGS)
def test_an_arm_of_other_layers_changes_the_model_or_says_why_not(name: str) -> None:
    recipe = load_config(name)
    before = plain(recipe)
    for arm in ("ws", "ic"):
        if name not in FROM_SCRATCH:
            with pytest.raises(OptionError, match=f"^{arm}: the recipe starts from pretrained weights"):
                apply_regularizer(recipe, arm)
        else:
            made = plain(apply_regularizer(recipe, arm))
            assert {key for key in made if made[key] != before.get(key)} == {"model", "custom_imports"}, arm
    assert plain(recipe) == before


@pytest.mark.parametrize("name", CONFIGS)
def test_a_projected_optimizer_has_what_the_recipes_had(name: str) -> None:
    recipe = load_config(name)
    before = plain(recipe)["optim_wrapper"]
    made = plain(apply_regularizer(recipe, "projected"))["optim_wrapper"]
    kind = made["optimizer"].pop("type")
    assert kind == ("TimmSGDP" if before["optimizer"].pop("type") == "SGD" else "TimmAdamP")
    added = {key: value for key, value in made["optimizer"].items() if key not in before["optimizer"]}
    assert added.keys() >= {"delta", "wd_ratio"}
    assert made == {**before, "optimizer": {**before["optimizer"], **added}}


def test_the_configs_are_of_all_families() -> None:
    wrappers = {name: load_config(name).optim_wrapper for name in CONFIGS}
    assert len(wrappers) >= 30
    assert {w.optimizer.type for w in wrappers.values()} >= {"SGD", "Adam", "AdamW"}
    assert {w.get("constructor") for w in wrappers.values()} == {
        None,
        "LearningRateDecayOptimizerConstructor",
        "LayerDecayOptimizerConstructor",
        "ForceDefaultOptimWrapperConstructor",
    }
    assert {type_name(w.get("type", "OptimWrapper")) for w in wrappers.values()} == {
        "OptimWrapper",
        "AmpOptimWrapper",
    }
    for key in ("clip_grad", "accumulative_counts", "paramwise_cfg"):
        assert any(w.get(key) for w in wrappers.values()), key
    hooks = [hook.type for name in CONFIGS for hook in load_config(name).get("custom_hooks", [])]
    assert "EMAHook" in hooks


# -- on the models -------------------------------------------------------------------------------------


def without_amp(config: Config) -> Config:
    """The same in full precision: mixed precision needs a GPU."""
    wrapper = config.optim_wrapper
    wrapper.type = wrapper.get("type", "OptimWrapper").removeprefix("Amp")
    for key in ("loss_scale", "dtype"):
        wrapper.pop(key, None)
    return config


class Subject:
    """A config's model, fresh for each arm, and the settings that the recipe gives its parameters."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.config = without_amp(load_config(name))
        self.config.merge_from_dict(options)
        self.config.optim_wrapper.pop("accumulative_counts", None)  # the first step updates
        self.model = build_model(self.config)
        self.recipe = settings(self.model, self.wrapper(self.model, self.config))

    def wrapper(self, model: nn.Module, config: Config) -> Any:
        with DefaultScope.overwrite_default_scope(config.get("default_scope")):
            return build_optim_wrapper(model, config.optim_wrapper)

    def arms(self, **options: Any) -> Iterator[tuple[str, nn.Module, Any]]:
        """Of ``none`` and ``wrs``: the name, a model, and its wrapper."""
        for arm in ("none", "wrs"):
            model = copy.deepcopy(self.model)
            yield arm, model, self.wrapper(model, apply_regularizer(self.config, arm, **options))


def train_step(model: nn.Module, wrapper: Any) -> None:
    with seeded(1):
        model.train_step(random_batch(model, size=(64, 64)), wrapper)


def check(name: str, options: dict[str, Any]) -> None:
    subject = Subject(name, options)
    for arm, model, wrapper in subject.arms(**{"frozen_bn": "fold"} if name in FROZEN_BN else {}):
        assert settings(model, wrapper) == subject.recipe
        train_step(model, wrapper)
        verdicts = [v for v in wrapper.method.invariant_weights.verdicts if v.selected]
        selected = {v.name for v in verdicts}
        assert selected and any(subject.recipe[name]["weight_decay"] for name in selected)
        found = settings(model, wrapper)
        assert found.keys() == subject.recipe.keys()
        for parameter, its in subject.recipe.items():
            decay = 0.0 if parameter in selected else its["weight_decay"]
            assert found[parameter] == {**its, "weight_decay": decay}, parameter
        weights = dict(model.named_parameters())
        norms = torch.cat([filter_norms(weights[v.name].double(), v.transposed_groups) for v in verdicts])
        alive = norms[norms > 1e-8]
        one = torch.isclose(alive, torch.ones_like(alive), rtol=1e-5, atol=0)
        assert bool(one.all()) == (arm == "wrs")


@pytest.mark.parametrize("name", TRAINED)
def test_groups_on_the_model_are_the_recipes_but_for_the_decay_of_scale_invariant_weights(name: str) -> None:
    check(name, TRAINED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED_SLOWLY)
def test_the_same_holds_for_larger_models(name: str) -> None:
    check(name, TRAINED_SLOWLY[name])


FOR_EACH_ARM = (
    "mmdet::yolox/yolox_nano_8xb8-300e_coco",
    "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco",
    "mmseg::mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512",
    "mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024",
)
"""One with Nesterov's momentum, one with AdamW, one with layer decay, one with plain SGD."""


@pytest.mark.parametrize("name", FOR_EACH_ARM)
def test_a_step_of_an_arm_moves_all_other_weights_as_the_recipe_does(name: str) -> None:
    subject = Subject(name, TRAINED[name])
    recipe = copy.deepcopy(subject.model)
    train_step(recipe, subject.wrapper(recipe, subject.config))
    expected = dict(recipe.named_parameters())
    start = dict(subject.model.named_parameters())
    for arm, options in STEPPED.items():
        model = copy.deepcopy(subject.model)
        wrapper = subject.wrapper(model, apply_regularizer(subject.config, arm, **options))
        train_step(model, wrapper)
        method = wrapper.method
        its_own = method.rescaled if arm == "pbwn" else method.invariant_weights.selected
        verdicts = {v.name: v for v in its_own}
        moved = dict(model.named_parameters())
        assert verdicts.keys() < moved.keys(), arm
        for parameter, value in moved.items():
            if parameter not in verdicts:
                assert torch.equal(value, expected[parameter]), (arm, parameter)
        acted_on = {key for key in verdicts if not torch.equal(moved[key], expected[key])}
        assert acted_on, arm
        if arm in ("hyperball", "rotational"):
            for key, its in verdicts.items():
                norms, were = (filter_norms(w[key].double(), its.transposed_groups) for w in (moved, start))
                if arm == "hyperball":
                    norms, were = norms.norm(), were.norm()
                torch.testing.assert_close(norms, were, rtol=1e-5, atol=0, msg=f"{arm}: {key}")


@pytest.mark.parametrize("name", FOR_EACH_ARM)
def test_a_projected_step_moves_vectors_as_the_recipe_does_and_takes_filters_less_far(name: str) -> None:
    pytest.importorskip("timm")
    # Weight decay in its first step is another for SGDP, as its card says.
    subject = Subject(name, {**TRAINED[name], "optim_wrapper.optimizer.weight_decay": 0.0})
    models = {arm: copy.deepcopy(subject.model) for arm in ("recipe", "projected")}
    configs = {"recipe": subject.config, "projected": apply_regularizer(subject.config, "projected")}
    for arm, model in models.items():
        train_step(model, subject.wrapper(model, configs[arm]))
    start, plainly, projected = (
        dict(model.named_parameters()) for model in (subject.model, *models.values())
    )
    shorter = 0
    for key, value in projected.items():
        if value.ndim < 2:
            torch.testing.assert_close(value, plainly[key], rtol=1e-5, atol=1e-6, msg=key)
        elif not torch.equal(value, plainly[key]):
            moved = (value - start[key]).norm(), (plainly[key] - start[key]).norm()
            shorter += bool(moved[0] < moved[1])
    assert shorter


@pytest.mark.parametrize("name", NOTHING_TO_ACT_ON)
def test_a_model_in_which_nothing_is_scale_invariant_is_refused_as_it_was(name: str) -> None:
    subject = Subject(name, {})
    for arm, model, wrapper in subject.arms():
        why = (
            NOTHING_TO_ACT_ON[name] if arm == "wrs" else "nothing to act on: no weight of this model is scale"
        )
        with pytest.raises(ModelError, match=why) as caught:
            train_step(model, wrapper)
        assert "\n" not in str(caught.value), arm
        parameters = zip(model.parameters(), subject.model.parameters(), strict=True)
        assert all(torch.equal(p, q) for p, q in parameters)
        assert settings(model, wrapper) == subject.recipe
