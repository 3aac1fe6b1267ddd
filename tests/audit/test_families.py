"""Verdicts against brute force on models that differ in structure; docs/families.md has all families."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from wrs_mm.audit.brute_force import verify
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch

R18 = {
    "model.backbone.depth": 18,
    "model.backbone.frozen_stages": -1,
    "model.backbone.norm_cfg.requires_grad": True,
    "model.backbone.norm_eval": False,
    "model.neck.in_channels": [64, 128, 256, 512],
}
FEW_REGIONS = {
    "model.train_cfg.rpn_proposal.max_per_img": 32,
    "model.train_cfg.rcnn.sampler.num": 16,
}

# One entry a structure: config, settings, number of its weights that are scale-invariant.
FAMILIES = {
    "anchors": ("mmdet::retinanet/retinanet_r18_fpn_1x_coco.py", R18, 20),
    "anchor-free, GN heads": ("mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", R18, 20),
    "shared heads": ("mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py", {}, 68),
    "decoupled heads": ("mmdet::yolox/yolox_tiny_8xb8-300e_coco.py", {}, 74),
    "two-stage instances": ("mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", R18 | FEW_REGIONS, 20),
    "dynamic instances": ("mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py", R18, 27),
    "two branches": ("mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py", {}, 61),
    "hard example mining": (
        "mmseg::ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py", {}, 45,
    ),
    "depthwise-separable": (
        "mmseg::deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py", {}, 37,
    ),
    "transformer": ("mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py", {}, 5),
}  # fmt: skip


def invariant(model: nn.Module, empty: Any) -> set[str]:
    verdicts = audit_model(model, random_batch(model, size=(64, 64), empty=empty))
    return {v.name for v in verdicts if v.scale_invariant}


@pytest.mark.slow
@pytest.mark.parametrize("structure", FAMILIES)
def test_brute_force_agrees_with_every_verdict_whatever_the_batch_holds(structure: str) -> None:
    name, settings, count = FAMILIES[structure]
    model = build_model(load_config(name, settings))
    batch = random_batch(model, size=(64, 64))
    verdicts = audit_model(model, batch)
    found = verify(model, batch, verdicts, quick=True)
    assert found.dtype is torch.float64
    assert found.disagreements(verdicts) == []
    assert sum(v.scale_invariant for v in verdicts) == count
    # A «no» is confirmed only where the weight affects the loss.
    without_effect = [v.name for v in verdicts if not v.scale_invariant and not found.affects_loss(v.name)]
    assert len(without_effect) <= 3, without_effect
    selected = {v.name for v in verdicts if v.scale_invariant}
    assert invariant(model, "first") == selected
    assert invariant(model, "all") == selected
