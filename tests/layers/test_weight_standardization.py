"""Models with weight standardization; trained ones: tests/openmmlab/test_other_layers.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.conv_ws import ConvWS2d
from mmengine.config import Config
from torch import Tensor, nn

from wrs_mm.audit.brute_force import verify
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.errors import ModelError
from wrs_mm.layers.weight_standardization import standardize
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.regularizers import apply_regularizer

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mini"
MINI = ("faster-rcnn_r18-narrow_fpn_mini-coco", "pspnet_r18-narrow_mini-cityscapes")
EPS = 1e-5


def recipe(name: str) -> Config:
    return load_config(CONFIGS / f"{name}.py")


def standardized_weights(model: nn.Module) -> list[str]:
    return [f"{name}.weight" for name, module in model.named_modules() if type(module) is ConvWS2d]


def test_it_trains_as_the_equations_say() -> None:
    """Five steps of SGD with the gradient of the standardized weight worked out by hand."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, bias=False).double()
    w, model = conv.weight.detach().clone(), nn.Sequential(conv)
    assert standardize(model, {"0.weight"}) == ["0.weight"]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, weight_decay=0.1)
    for _ in range(5):
        x, y = torch.randn(2, 3, 6, 6).double(), torch.randn(2, 4, 4, 4).double()
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
        w -= 0.5 * (gradient(w, x, y) + 0.1 * w)
        assert float((conv.weight - w).abs().max()) < 1e-12
    assert list(model.state_dict()) == ["0.weight"]


def gradient(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Of the mean squared error in ``w``, which enters as ``(w - μ) / (σ + ε)``, σ with n - 1, by filter."""
    flat = w.flatten(1)
    n = flat.shape[1]
    centered = flat - flat.mean(1, keepdim=True)
    deviation = (centered.square().sum(1, keepdim=True) / (n - 1)).sqrt()
    hat = centered / (deviation + EPS)
    # The convolution as a product: its gradient in the standardized weight.
    columns = F.unfold(x, 3)
    out = torch.einsum("fk,bkp->bfp", hat, columns)
    by_out = 2 * (out - y.flatten(2)) / out.numel()
    by_hat = torch.einsum("bfp,bkp->fk", by_out, columns)
    along = (by_hat * centered).sum(1, keepdim=True)
    by_flat = (by_hat - by_hat.mean(1, keepdim=True)) / (deviation + EPS)
    by_flat -= centered * along / ((deviation + EPS).square() * deviation * (n - 1))
    return by_flat.view_as(w)


def test_layers_that_it_does_not_fit_are_left_as_they_are() -> None:
    class Own(nn.Conv2d):
        """Somebody's own convolution."""

    model = nn.Sequential(
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 1, groups=4),  # filters of one number
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        Own(4, 4, 3),
        nn.ConvTranspose2d(4, 4, 3),
        nn.Linear(4, 4),
        nn.Conv2d(4, 4, 3),
    )
    assert standardize(model, {f"{number}.weight" for number in range(6)}) == ["0.weight"]


@pytest.mark.parametrize("name", MINI)
def test_of_a_real_model_they_are_the_scale_invariant_convolutions_and_no_others(name: str) -> None:
    config = recipe(name)
    plain = build_model(config)
    arm = apply_regularizer(config, "ws")
    model = build_model(arm)
    invariant = [v.name for v in audit_model(plain, random_batch(plain)) if v.scale_invariant]
    assert sorted(standardized_weights(model)) == sorted(invariant) and len(invariant) > 20
    # Same class, parameters and initial weights as the recipe's, from the same random numbers.
    assert type(model) is type(plain)
    own, its = model.state_dict(), build_model(config).state_dict()
    assert list(own) == list(its) and all(own[key].equal(its[key]) for key in own)
    assert standardized_weights(build_model(arm)) == standardized_weights(model)


@pytest.mark.parametrize("name", MINI)
def test_a_real_model_no_longer_feels_mean_and_scale_of_its_filters(name: str) -> None:
    model = build_model(apply_regularizer(recipe(name), "ws"))
    give_every_norm_an_effect(model)
    batch = random_batch(model)
    model.eval()  # without batch statistics, which would hide the scale
    before = features(model, batch)
    for weight in standardized_weights(model):
        w = model.get_parameter(weight)
        factors = torch.rand(w.shape[0], 1, 1, 1) + 0.5
        w.data = factors * w.data + 0.1 * torch.randn(w.shape[0], 1, 1, 1)
    for one, other in zip(features(model, batch), before, strict=True):
        # σ is some 0.1 and ε 1e-5: to that share.
        assert float((one - other).abs().max()) < 5e-3 * float(other.abs().max())
    unstandardized = build_model(recipe(name))
    give_every_norm_an_effect(unstandardized)
    unstandardized.eval()
    before = features(unstandardized, batch)
    for weight in standardized_weights(model):
        unstandardized.get_parameter(weight).data.mul_(1.5)
    moved = [
        float((a - b).abs().max() / b.abs().max())
        for a, b in zip(features(unstandardized, batch), before, strict=True)
    ]
    assert max(moved) > 0.1


def give_every_norm_an_effect(model: nn.Module) -> None:
    """ResNets begin with γ = 0 at the end of each block."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)


@torch.no_grad()
def features(model: nn.Module, batch: dict) -> list[Tensor]:
    data = model.data_preprocessor(batch, training=False)
    return list(model.extract_feat(data["inputs"]))


@pytest.mark.parametrize("name", MINI)
def test_brute_force_confirms_that_they_do_not_feel_their_scale(name: str) -> None:
    model = build_model(apply_regularizer(recipe(name), "ws"))
    batch = random_batch(model)
    verdicts = audit_model(model, batch)
    # The ε of each layer is not negligible here: what it leaves of a filter's scale, the BN takes away.
    assert verify(model, batch, verdicts, quick=True).disagreements(verdicts) == []
    standardized = [v.name for v in verdicts if v.standardized]
    assert standardized == [v.name for v in verdicts if v.scale_invariant] == standardized_weights(model)
    assert not any(v.selected for v in verdicts)


def test_a_network_without_scale_invariant_convolutions_is_refused_in_one_line() -> None:
    config = recipe(MINI[1])
    config.model.backbone.norm_cfg = config.model.decode_head.norm_cfg = {"type": "GN", "num_groups": 1}
    with pytest.raises(
        ModelError, match="ws: no plain convolution of this EncoderDecoder is scale-inv"
    ) as caught:
        build_model(apply_regularizer(config, "ws"))
    assert "\n" not in str(caught.value)
