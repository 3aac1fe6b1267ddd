"""The hard cases, on real models of mmdet and mmseg at full width (small images)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import nn

from wrs_mm.audit.brute_force import verify
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.errors import ModelError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss
from wrs_mm.rescaling import Verdict, WeightRescaler
from wrs_mm.rescaling.filter_groups import group_norms, group_sizes

FASTER_RCNN = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
MASK_RCNN = "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"
RTMDET = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
FCOS = "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py"
CENTERNET = "mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py"
RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
ERFNET = "mmseg::erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024.py"
R18_CHANNELS = [64, 128, 256, 512]
DEEPLABV3PLUS = "mmseg::deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py"

pytestmark = pytest.mark.slow


def bn_everywhere(name: str) -> Config:
    """A detector with BN that trains: in backbone, neck and the heads of both stages."""
    bn = {"type": "BN", "requires_grad": True}
    if name == RETINANET:
        return load_config(name, {"model.backbone": {"norm_eval": False, "frozen_stages": -1}})
    four_convolutions = {"type": "Shared4Conv1FCBBoxHead", "conv_out_channels": 64, "norm_cfg": bn}
    roi_head: dict[str, Any] = {"bbox_head": four_convolutions}
    if name == MASK_RCNN:
        roi_head["mask_head"] = {"norm_cfg": bn}
    model = {
        "backbone": {"norm_cfg": bn, "norm_eval": False, "frozen_stages": -1, "depth": 18},
        "neck": {"norm_cfg": bn, "in_channels": R18_CHANNELS},
        "roi_head": roi_head,
    }
    return load_config(name, {"model": model})


def verdicts_of(model: nn.Module, empty: Any = False, **options: str) -> dict[str, Verdict]:
    batch = random_batch(model, size=(96, 96), empty=empty)
    return {v.name: v for v in audit_model(model, batch, **options)}


def invariant(verdicts: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.scale_invariant}


def confirmed(model: nn.Module, **options: str) -> dict[str, Verdict]:
    """The verdicts, once brute force has confirmed each."""
    batch = random_batch(model, size=(64, 64))
    verdicts = audit_model(model, batch, **options)
    found = verify(model, batch, verdicts, quick=True)
    assert found.dtype is torch.float64 and found.disagreements(verdicts) == []
    return {v.name: v for v in verdicts}


def rescaled_keeps_its_output(model: nn.Module, **options: Any) -> WeightRescaler:
    """Rescale once: unit norms, a group's in root mean square; in float64 the same output in eval mode."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    rescaler = WeightRescaler(model, optimizer, **options)
    with rescaler.observing():
        train_loss(model, random_batch(model, size=(64, 64)), seed=0)
    model.double()
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        before = flat(model.eval()(images, mode="tensor"))
        model.train()
        rescaler.rescale()
        after = flat(model.eval()(images, mode="tensor"))
    parameters = dict(model.named_parameters())
    for verdict in rescaler.rescaled:
        norms = group_norms(parameters[verdict.name], verdict.transposed_groups, verdict.groups)
        sizes = torch.ones(len(norms)) if verdict.groups is None else group_sizes(verdict.groups)
        torch.testing.assert_close(norms, sizes.to(norms).sqrt(), rtol=1e-6, atol=0)
    assert len(before) == len(after) > 0
    for a, b in zip(after, before, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(b.abs().max()))
    return rescaler


def flat(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for item in value for tensor in flat(item)]


@pytest.mark.parametrize("name", [FASTER_RCNN, MASK_RCNN])
def test_a_first_batch_without_objects_shows_the_same_set(name: str) -> None:
    model = build_model(bn_everywhere(name))
    with_objects = invariant(verdicts_of(model))
    assert "roi_head.bbox_head.shared_convs.3.conv.weight" in with_objects
    assert "neck.fpn_convs.0.conv.weight" in with_objects
    assert ("roi_head.mask_head.convs.0.conv.weight" in with_objects) is (name == MASK_RCNN)
    assert invariant(verdicts_of(model, "first")) == with_objects
    assert invariant(verdicts_of(model, "all")) == with_objects


def test_activation_checkpointing_inside_a_backbone_hides_nothing() -> None:
    config = bn_everywhere(FASTER_RCNN)
    plain = invariant(verdicts_of(build_model(config)))
    config.model.backbone.with_cp = True
    assert invariant(verdicts_of(build_model(config))) == plain


def test_default_faster_rcnn_has_nothing_with_skip_and_42_with_fold() -> None:
    model = build_model(load_config(FASTER_RCNN))
    assert not invariant(verdicts_of(model))
    rescaled = {v.name for v in verdicts_of(model, frozen_bn="fold").values() if v.selected}
    assert len(rescaled) == 42
    assert all(name.startswith("backbone.layer") and "layer1" not in name for name in rescaled)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    rescaler = WeightRescaler(model, optimizer)
    with pytest.raises(ModelError, match="frozen_bn='fold'"), rescaler.observing():
        train_loss(model, random_batch(model, size=(96, 96)), seed=0)


def test_rtmdet_weights_shared_over_levels_feed_each_levels_own_norm_layer() -> None:
    verdicts = verdicts_of(build_model(load_config(RTMDET)))
    shared = verdicts["bbox_head.cls_convs.0.0.conv.weight"]
    assert shared.scale_invariant and shared.selected
    assert set(shared.norm_layers) == {f"bbox_head.cls_convs.{level}.0.bn" for level in range(3)}
    assert len(invariant(verdicts)) == 68


def test_group_norm_heads_are_invariant_by_group_and_not_by_filter() -> None:
    model = build_model(
        load_config(FCOS, {"model.backbone.depth": 18, "model.neck.in_channels": R18_CHANNELS})
    )
    heads = {f"bbox_head.{kind}_convs.{i}.conv.weight" for kind in ("cls", "reg") for i in range(4)}
    by_filter = confirmed(model)
    assert not invariant(by_filter) and all("GroupNorm" in by_filter[name].reason for name in heads)
    by_group = confirmed(model, granularity="group")
    assert invariant(by_group) == heads
    groups = by_group["bbox_head.cls_convs.0.conv.weight"].groups
    assert groups == tuple(i // 8 for i in range(256)), "GroupNorm with 32 groups"
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.eps = 1e-30
    rescaler = rescaled_keeps_its_output(model, granularity="group")
    assert {v.name for v in rescaler.rescaled} == heads


def test_depthwise_separable_convolutions_are_invariant() -> None:
    model = build_model(load_config(DEEPLABV3PLUS))
    found = invariant(verdicts_of(model))
    for part in ("depthwise_conv", "pointwise_conv"):
        assert f"decode_head.sep_bottleneck.0.{part}.conv.weight" in found
    assert "decode_head.conv_seg.weight" not in found


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_real_training_step_leaves_unit_norms_and_the_same_function(
    memory_format: torch.memory_format,
) -> None:
    model = build_model(load_config(DEEPLABV3PLUS)).to(memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    rescaler = WeightRescaler(model, optimizer, interval=3)
    batch = random_batch(model, size=(96, 96))
    for _ in range(2):
        with rescaler.observing():
            loss = train_loss(model, batch, seed=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.double()
    images = torch.randn(1, 3, 96, 96, dtype=torch.float64)
    with torch.no_grad():
        before = model.eval()(images, mode="tensor")
        model.train()
        rescaler.rescale()
        after = model.eval()(images, mode="tensor")
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)
    parameters = dict(model.named_parameters())
    for verdict in rescaler.rescaled:
        norms = parameters[verdict.name].flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-6, atol=0)


def test_biases_and_joined_branches_before_bn() -> None:
    model = build_model(load_config(ERFNET))
    verdicts = confirmed(model)
    # A convolution with a bias, joined with pooled images: cat → BN.
    joined = verdicts["backbone.encoder.1.conv.weight"]
    assert joined.scale_invariant and joined.selected
    (feed,) = joined.feeds
    assert feed.bias == "backbone.encoder.1.conv.bias" and feed.norm == "backbone.encoder.1.bn"
    assert feed.filters == (*range(48), *[-1] * 16)
    rescaler = rescaled_keeps_its_output(model)
    assert len(rescaler.rescaled) == len(invariant(verdicts))


def test_a_transposed_convolution_with_groups() -> None:
    model = build_model(load_config(CENTERNET))
    grouped = nn.ConvTranspose2d(256, 256, 4, stride=2, padding=1, groups=4, bias=False)
    assert model.neck.deconv_layers[1].conv.weight.shape == (256, 256, 4, 4)
    model.neck.deconv_layers[1].conv = grouped
    verdict = confirmed(model)["neck.deconv_layers.1.conv.weight"]
    assert verdict.scale_invariant and verdict.transposed_groups == 4
    assert verdict.feeds[0].filters == tuple(range(256))
    rescaled_keeps_its_output(model)
    norms = grouped.weight.detach().view(4, 64, 64, 16).norm(dim=(1, 3))
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-6, atol=0)


def test_a_linear_layer_before_batch_norm_1d() -> None:
    from mmdet.models.reid.fc_module import FcModule

    model = build_model(load_config("configs/mini/faster-rcnn_r18-narrow_fpn_mini-coco.py"))
    head = model.roi_head.bbox_head
    linear = head.shared_fcs[0]
    head.shared_fcs[0] = FcModule(linear.in_features, linear.out_features, {"type": "BN1d"}, None)
    verdicts = confirmed(model)
    name = "roi_head.bbox_head.shared_fcs.0.fc.weight"
    assert verdicts[name].scale_invariant and verdicts[name].selected
    assert not verdicts["roi_head.bbox_head.fc_cls.weight"].scale_invariant
    assert invariant(verdicts_of(model, "all")) == invariant(verdicts)


def test_relu_pooling_and_interpolation_before_bn() -> None:
    model = build_model(bn_everywhere(RETINANET))
    bn = model.backbone.bn1
    model.backbone.bn1 = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 1, 1), nn.Upsample(scale_factor=2), bn)
    verdict = confirmed(model)["backbone.conv1.weight"]
    assert verdict.scale_invariant and verdict.norm_layers == ("backbone.bn1.3",)
    rescaled_keeps_its_output(model)


def test_a_weight_of_two_layers_needs_a_norm_layer_after_each() -> None:
    model = build_model(bn_everywhere(RETINANET))
    first, second = model.backbone.layer1[0], model.backbone.layer1[1]
    second.conv2.weight = first.conv2.weight
    tied = confirmed(model)["backbone.layer1.0.conv2.weight"]
    assert tied.scale_invariant and tied.norm_layers == ("backbone.layer1.0.bn2", "backbone.layer1.1.bn2")
    rescaled_keeps_its_output(model)

    model = build_model(bn_everywhere(RETINANET))
    model.neck.fpn_convs[1].conv.weight = model.backbone.layer3[1].conv2.weight
    torn = confirmed(model)["backbone.layer3.1.conv2.weight"]
    assert not torn.scale_invariant and "before any norm layer" in torn.reason
