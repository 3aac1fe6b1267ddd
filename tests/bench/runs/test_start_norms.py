"""The norms of the filters that a backbone starts with."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from wrs_mm.bench.runs.start_norms import Start, start_norms
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.pretrained import check_when_initialized
from wrs_mm.openmmlab.pretrained_config import start_from
from wrs_mm.openmmlab.synthetic import build_model


class Model(nn.Module):
    """Of two convolutions, the second outside of the backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 3, 1, bias=False), nn.BatchNorm2d(3))
        self.head = nn.Conv2d(3, 1, 1)

    def init_weights(self) -> None:
        with torch.no_grad():
            self.backbone[0].weight.copy_(torch.tensor([-2.0, 0.5, 1.0]).reshape(3, 1, 1, 1))


def test_they_are_those_of_the_backbones_filters_once_they_are_initialized() -> None:
    model = Model()
    start = Start(model)
    assert start.norms is None
    model.init_weights()
    assert start.norms is not None
    assert (start.norms.least, start.norms.median, start.norms.most) == (0.5, 1.0, 2.0)
    assert "init_weights" not in model.__dict__
    assert start_norms(nn.Linear(1, 1)) is None


def test_a_pretrained_backbone_is_still_checked_and_has_the_norms_of_its_checkpoint(tmp_path) -> None:
    config = load_config("configs/mini/pspnet_r18-narrow_mini-cityscapes.py")
    weights = build_model(config).backbone.state_dict()
    for value in weights.values():
        if value.dim() == 4:
            value.copy_(3 * value / value.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1))
    torch.save(weights, tmp_path / "a.pth")
    start_from(config, tmp_path / "a.pth")
    model = _built(config)
    check_when_initialized(model)
    start = Start(model)
    model.init_weights()
    assert start.norms is not None
    assert [start.norms.least, start.norms.median, start.norms.most] == pytest.approx([3, 3, 3], rel=1e-5)


def _built(config: Config) -> nn.Module:
    """The model as a Runner builds it, not initialized yet."""
    with DefaultScope.overwrite_default_scope("mmseg"):
        return MODELS.build(config.model)
