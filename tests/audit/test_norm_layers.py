"""Verdicts on real models with GroupNorm, InstanceNorm and LayerNorm: wrs_mm.rescaling.filter_groups.

The rows of the table in docs/norm_layers.md, each held against brute force in float64.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_networks import Segmentor
from torch import Tensor, nn

from wrs_mm.audit.brute_force import verify
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.rescaling import Verdict

INSTANCE_NORM = {
    f"model.{part}.norm_cfg": {"type": "IN"} for part in ("backbone", "decode_head", "auxiliary_head")
}
FEW_REGIONS = {
    "model.train_cfg.rpn_proposal.max_per_img": 32,
    "model.train_cfg.rcnn.sampler.num": 16,
}
R18 = {"model.backbone.depth": 18, "model.neck.in_channels": [64, 128, 256, 512]}
WITHOUT_LAYER_SCALE = {"model.backbone.layer_scale_init_value": 0.5}  # not 1e-6, so that branches matter

# Config, settings, pixels, weights, scale-invariant ones by filter and by group (brute force: by group).
MODELS = {
    "FCOS": ("mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", R18, 96, 39, 0, 8),
    "GroupNorm": ("mmdet::gn/mask-rcnn_r50_fpn_gn-all_2x_coco.py", FEW_REGIONS, 64, 77, 0, 69),
    "InstanceNorm": (
        "mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py", INSTANCE_NORM, 96, 28, 26, 26,
    ),
    "Swin": ("mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py", FEW_REGIONS, 64, 73, 0, 0),
    "SegFormer": ("mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py", {}, 64, 56, 5, 5),
    "ConvNeXt": (
        "mmseg::convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py", WITHOUT_LAYER_SCALE, 64,
        73, 13, 13,
    ),
}  # fmt: skip


def confirmed(model: nn.Module, batch: dict[str, Any], granularity: str) -> list[Verdict]:
    verdicts = audit_model(model, batch, granularity=granularity)
    found = verify(model, batch, verdicts, quick=True)
    assert found.dtype is torch.float64 and found.disagreements(verdicts) == []
    return verdicts


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_brute_force_agrees_with_every_verdict(kind: str) -> None:
    name, settings, pixels, weights, by_filter, by_group = MODELS[kind]
    if kind == "ConvNeXt":
        pytest.importorskip("mmpretrain", reason="its ConvNeXt is mmpretrain's")
    model = build_model(load_config(name, settings))
    batch = random_batch(model, size=(pixels, pixels))
    alone, verdicts = audit_model(model, batch), confirmed(model, batch, "group")
    assert len(verdicts) == weights
    assert [sum(v.scale_invariant for v in found) for found in (alone, verdicts)] == [by_filter, by_group]
    if kind == "ConvNeXt":  # what the biases cost it
        for module_name, module in model.backbone.named_modules():
            if module_name.endswith("depthwise_conv") or module_name == "downsample_layers.0.0":
                module.bias = None
        assert sum(v.scale_invariant for v in confirmed(model, batch, "group")) == 13 + 19


class Block(nn.Module):
    """ConvNeXt's: depthwise convolution, LayerNorm over channels, two linear layers, sum."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=bias)
        self.norm, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(nn.functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


@pytest.mark.parametrize("bias", [False, True])
def test_in_convnexts_block_only_a_depthwise_convolution_without_bias_is_invariant_as_a_whole(
    bias: bool,
) -> None:
    torch.manual_seed(0)
    model = Segmentor(nn.Conv2d(2, 8, 1), Block(bias), nn.Conv2d(8, 2, 1))
    verdicts = {
        v.name.removeprefix("layers."): v
        for v in confirmed(model, {"inputs": torch.randn(3, 2, 8, 4)}, "group")
    }
    assert [name for name, v in verdicts.items() if v.scale_invariant] == ["1.depthwise.weight"][bias:]
    depthwise = verdicts["1.depthwise.weight"]
    assert depthwise.groups == (0,) * 8
    expected = "with a bias" if bias else "its 8 filters are scaled as one"
    assert expected in depthwise.reason, depthwise.reason
