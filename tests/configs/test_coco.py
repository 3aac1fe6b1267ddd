"""The recipes for COCO: what they change of mmdet's, and that every arm of each trains at full size."""

from __future__ import annotations

from typing import Any

import pytest
from arms import ARMS, CONFIGS, Subject, build, check_arm, documented_counts, load, plain, recipes_in
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.regularizers import RECIPE_KEY

COUNTS = {
    # recipe: convolution and linear weights that WRS rescales, and all
    "faster-rcnn_r50_fpn_frozenbn_1x_coco": (42, 68),
    "faster-rcnn_r50_fpn_syncbn_1x_coco": (65, 71),
    "fcos_r50-caffe_fpn_gn-head_frozenbn_1x_coco": (42, 72),
    "fcos_r50_fpn_syncbn_1x_coco": (69, 72),
    "mask-rcnn_r50-scratch_fpn_syncbn_6x_coco": (69, 77),
    "mask-rcnn_r50_fpn_frozenbn_1x_coco": (42, 74),
    "mask-rcnn_r50_fpn_syncbn_1x_coco": (69, 77),
    "retinanet_r50_fpn_frozenbn_1x_coco": (42, 71),
    "retinanet_r50_fpn_syncbn_1x_coco": (69, 71),
}
BASES = {
    "faster-rcnn_r50_fpn": "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
    "mask-rcnn_r50_fpn": "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py",
    "mask-rcnn_r50-scratch_fpn": "mmdet::scratch/mask-rcnn_r50-scratch_fpn_gn-all_6x_coco.py",
    "retinanet_r50_fpn": "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",
    "fcos_r50_fpn": "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
    "fcos_r50-caffe_fpn_gn-head": "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
}
SYNCBN = [name for name in COUNTS if "_syncbn_" in name]
FROZENBN = [name for name in COUNTS if "_frozenbn_" in name]


def base_of(recipe: str) -> dict[str, Any]:
    return plain(load_config(BASES[recipe.split("_syncbn_")[0].split("_frozenbn_")[0]]))


def without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    # Variables of a config are settings of nothing, and what a recipe says of its arms is no setting.
    rest = (*keys, "custom_imports", "norm_cfg", RECIPE_KEY)
    return {key: value for key, value in config.items() if key not in rest}


def test_no_config_is_forgotten() -> None:
    assert recipes_in("coco") == sorted(COUNTS) == sorted(SYNCBN + FROZENBN)
    arms = {f"{recipe}_{arm}" for recipe in COUNTS for arm in ARMS}
    assert {path.stem for path in (CONFIGS / "coco").iterdir() if path.suffix} == arms | set(COUNTS)


def test_the_documented_counts_are_the_tested_ones() -> None:
    assert documented_counts("coco") == COUNTS


@pytest.mark.parametrize("recipe", FROZENBN)
def test_frozenbn_recipe_is_mmdets_default_untouched(recipe: str) -> None:
    config = plain(load("coco", recipe))
    assert without(config) == without(base_of(recipe))
    assert config["model"]["backbone"]["norm_eval"] and config["model"]["backbone"]["frozen_stages"] == 1


@pytest.mark.parametrize("recipe", SYNCBN)
def test_syncbn_recipe_changes_the_model_and_nothing_else(recipe: str) -> None:
    config = plain(load("coco", recipe))
    assert without(config, "model") == without(base_of(recipe), "model")
    model, base = config["model"], base_of(recipe)["model"]
    for part in model.keys() - {"data_preprocessor", "backbone", "neck", "bbox_head", "roi_head"}:
        assert model[part] == base[part]


@pytest.mark.parametrize("recipe", SYNCBN)
def test_syncbn_recipe_normalizes_with_torchs_sync_bn_that_trains(recipe: str) -> None:
    config = load("coco", recipe)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(config.model)
    model.train()
    norms = {
        n: m
        for n, m in model.named_modules()
        if isinstance(m, (nn.modules.batchnorm._NormBase, nn.GroupNorm))
    }
    # mmengine's SyncBatchNorm is torch's, with one check of the input's shape changed.
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms.values())
    assert all(norm.training for norm in norms.values())
    assert all(p.requires_grad for p in model.parameters())
    parts = {name.rpartition(".")[0].split(".")[0] for name in norms}
    assert parts == {"backbone", "neck", "roi_head" if hasattr(model, "roi_head") else "bbox_head"}
    if hasattr(model, "roi_head"):
        assert len(model.roi_head.bbox_head.shared_convs) == 4
        assert len(model.roi_head.bbox_head.shared_fcs) == 1


@pytest.mark.parametrize("recipe", COUNTS)
def test_pretrained_weights_are_torchvisions_unless_the_name_says_otherwise(recipe: str) -> None:
    init = load("coco", recipe).model.backbone.init_cfg
    if "-scratch_" in recipe:
        assert init is None
    elif "-caffe_" in recipe:
        assert init.checkpoint == "open-mmlab://detectron/resnet50_caffe"
    else:
        assert init == {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}


@pytest.fixture(scope="module", params=COUNTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    return build("coco", request.param)


@pytest.mark.slow
def test_the_audit_finds_the_expected_weights(subject: Subject) -> None:
    assert (len(subject.rescaled), len(subject.verdicts)) == COUNTS[subject.recipe]
    assert all(v.scale_invariant for v in subject.rescaled) == (subject.recipe in SYNCBN)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS)
def test_two_steps_leave_what_the_arm_promises(subject: Subject, arm: str) -> None:
    check_arm(subject, arm)
