"""Residual blocks with independent-component layers; trained ones: tests/openmmlab/test_other_layers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from wrs_mm.audit.verdicts import audit_model
from wrs_mm.errors import ModelError
from wrs_mm.layers import IndependentConv2d
from wrs_mm.layers.independent_components import insert
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.regularizers import apply_regularizer

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mini"
MINI = ("faster-rcnn_r18-narrow_fpn_mini-coco", "pspnet_r18-narrow_mini-cityscapes")


def recipe(name: str) -> Config:
    return load_config(CONFIGS / f"{name}.py")


def blocks_of(toolbox: str) -> tuple[type, type]:
    if toolbox == "mmdet":
        from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
    else:
        from mmseg.models.backbones.resnet import BasicBlock, Bottleneck
    return BasicBlock, Bottleneck


def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """BN by the batch's own statistics, written out."""
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * gamma.view(1, -1, 1, 1) + beta.view(1, -1, 1, 1)


def statement(kind: str, x: Tensor, p: dict[str, Tensor], drop: float) -> Tensor:
    """A block as the card states it: BN, dropout, convolution, each; ReLU between and after."""
    out = x
    for number, padding in enumerate((1, 1) if kind == "BasicBlock" else (0, 1, 0), 1):
        name = f"conv{number}"
        out = normalized(out, p[f"{name}.ic_norm.weight"], p[f"{name}.ic_norm.bias"])
        keep = (torch.rand_like(out) >= drop).to(out.dtype) if drop else torch.ones_like(out)
        out = F.conv2d(out * keep / (1 - drop), p[f"{name}.weight"], padding=padding)
        if f"conv{number + 1}.weight" in p:
            out = out.relu()
    return (out + x).relu()


@pytest.mark.parametrize("toolbox", ["mmdet", "mmseg"])
@pytest.mark.parametrize("kind", ["BasicBlock", "Bottleneck"])
def test_a_block_trains_as_stated(toolbox: str, kind: str) -> None:
    torch.manual_seed(0)
    basic, bottleneck = blocks_of(toolbox)
    block = basic(8, 8) if kind == "BasicBlock" else bottleneck(8, 2)
    model = nn.Sequential(block).double()
    assert insert(model, 0.0) == ["0"]
    model = model.double()
    stated = {name: value.detach().clone().requires_grad_() for name, value in block.named_parameters()}
    assert sum("ic_norm" in name for name in stated) == (4 if kind == "BasicBlock" else 6)
    assert not any(name.startswith("bn") for name in stated)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    by_hand = torch.optim.SGD(stated.values(), lr=0.1, momentum=0.9)
    for _ in range(4):
        x = torch.randn(3, 8, 5, 5, dtype=torch.float64)
        for made, out in ((optimizer, model(x)), (by_hand, statement(kind, x, stated, 0.0))):
            made.zero_grad()
            out.square().mean().backward()
            made.step()
    for name, value in block.named_parameters():
        assert float((value - stated[name]).abs().max()) < 1e-10, name


def test_dropout_sets_that_share_to_zero_and_is_off_in_eval_mode() -> None:
    torch.manual_seed(0)
    block = blocks_of("mmdet")[0](64, 64)
    model = nn.Sequential(block)
    insert(model, 0.1)
    seen: list[Tensor] = []
    block.conv2.ic_dropout.register_forward_hook(lambda _, args, out: seen.extend([args[0], out]))
    x = torch.randn(4, 64, 16, 16)
    model(x)
    assert float((seen[1] == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    model.eval()
    assert model(x).equal(model(x)) and seen[-1].equal(seen[-2])


@pytest.mark.parametrize("name", MINI)
def test_in_a_real_model_every_block_has_them_and_verdicts_follow(name: str) -> None:
    plain = build_model(recipe(name))
    model = build_model(apply_regularizer(recipe(name), "ic", p=0.1))
    made = {module: conv for module, conv in model.named_modules() if type(conv) is IndependentConv2d}
    assert len(made) == 16 and all(name.startswith("backbone.layer") for name in made)
    assert all(conv.ic_dropout.p == 0.1 for conv in made.values())
    assert type(model) is type(plain) and set(dict(plain.named_parameters())) & {
        "backbone.layer1.0.bn1.weight"
    }
    invariant = {v.name for v in audit_model(model, random_batch(model)) if v.scale_invariant}
    before = {v.name for v in audit_model(plain, random_batch(plain)) if v.scale_invariant}
    # The first convolution of a block still ends in a norm layer: ReLU, then the BN before the second.
    last = {f"backbone.layer{stage}.{block}.conv2.weight" for stage in (1, 2, 3, 4) for block in (0, 1)}
    assert invariant == before - last
    # Convolutions are initialized as before: none is left at torch's own, nor at zero.
    for conv in made.values():
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        assert float(conv.weight.std()) == pytest.approx((2 / fan_out) ** 0.5, rel=0.2)


def test_what_it_does_not_fit_is_refused_in_one_line() -> None:
    config = recipe(MINI[0])
    config.model.backbone.norm_cfg = {"type": "GN", "num_groups": 1}
    frozen = recipe(MINI[0])
    frozen.model.backbone.norm_eval = True
    for cfg, message in ((config, "has no residual block that it fits"), (frozen, "backbone freezes BN")):
        with pytest.raises(ModelError, match=message) as caught:
            build_model(apply_regularizer(cfg, "ic"))
        assert "\n" not in str(caught.value)
