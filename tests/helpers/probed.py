"""Networks of several families, as small as they can be, to be probed in float64."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.probe.subject import Subject, make_subject

MINI = Path(__file__).resolve().parents[2] / "configs" / "mini"
SIZE = 64
"""Pixels of an image's sides."""

_ROIS: dict[str, Any] = {
    "model.train_cfg.rpn.sampler.num": 16,
    "model.train_cfg.rpn_proposal.nms_pre": 30,
    "model.train_cfg.rpn_proposal.max_per_img": 10,
    "model.train_cfg.rcnn.sampler.num": 4,
    "model.backbone.base_channels": 8,
    "model.neck.in_channels": [8, 16, 32, 64],
}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "faster-rcnn": (str(MINI / "faster-rcnn_r18-narrow_fpn_mini-coco.py"), _ROIS),
    "retinanet": (
        str(MINI / "retinanet_r18-narrow_fpn_mini-coco.py"),
        {"model.backbone.base_channels": 8, "model.neck.in_channels": [8, 16, 32, 64]},
    ),
    "pspnet": (
        str(MINI / "pspnet_r18-narrow_mini-cityscapes.py"),
        {
            "model.backbone.base_channels": 8,
            "model.decode_head.in_channels": 64,
            "model.decode_head.channels": 16,
        },
    ),
    "deeplabv3": (
        "mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py",
        {
            "model.pretrained": None,
            "model.backbone.base_channels": 8,
            "model.backbone.stem_channels": 8,
            "model.backbone.norm_cfg.type": "BN",
            "model.decode_head.in_channels": 64,
            "model.decode_head.channels": 8,
            "model.decode_head.norm_cfg.type": "BN",
            "model.auxiliary_head": None,
        },
    ),
}
"""By name, a config and what makes it small."""


def recipe(family: str, **optimizer: Any) -> Config:
    """The config, with other settings of its SGD."""
    source, options = FAMILIES[family]
    config = load_config(source, options)
    config.optim_wrapper.optimizer.update(optimizer)
    return config


@functools.cache
def subject(family: str, batches: int = 2) -> Subject:
    """The network with made-up batches of three images; no test may change it, but a copy."""
    model = build_model(recipe(family))
    listed = [random_batch(model, batch_size=3, size=(SIZE, SIZE), seed=seed) for seed in range(batches)]
    made = make_subject(model, listed)
    assert made.dtype is torch.float64
    return made
