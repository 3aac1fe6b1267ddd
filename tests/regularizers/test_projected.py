"""The arm ``projected``: SGDP for SGD, AdamP for Adam and AdamW, with what they have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from toy_training import Network, decay_by_name

from wrs_mm.audit.verdicts import audit_model
from wrs_mm.borrowed import seeded
from wrs_mm.errors import OptionError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.regularizers.projected import projected

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MINI = ("faster-rcnn_r18-narrow_fpn_mini-coco", "pspnet_r18-narrow_mini-cityscapes")
VALUES = {"delta": 0.1, "wd_ratio": 0.1}


def made(optimizer: dict[str, Any], **options: Any) -> dict[str, Any]:
    return projected({"type": "OptimWrapper", "optimizer": optimizer}, **options)


def test_sgd_keeps_all_that_sgdp_has_too():
    own = {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "nesterov": True, "weight_decay": 1e-4}
    assert made({"type": "SGD", **own, "foreach": True})["optimizer"] == {"type": "TimmSGDP", **own, **VALUES}


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "torch.optim.AdamW", torch.optim.AdamW])
def test_adam_and_adamw_become_adamp(kind: object):
    own = {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.05}
    given = made({"type": kind, **own, "amsgrad": False}, delta=0.2, wd_ratio=1)["optimizer"]
    assert given == {"type": "TimmAdamP", **own, "delta": 0.2, "wd_ratio": 1}


def test_what_a_recipe_leaves_to_torchs_defaults_stays_so():
    assert made({"type": "AdamW", "lr": 0.1})["optimizer"]["weight_decay"] == 0.01
    assert "weight_decay" not in made({"type": "Adam", "lr": 0.1})["optimizer"]
    assert made({"type": "SGD"})["optimizer"]["lr"] == 1e-3


@pytest.mark.parametrize(
    ("optimizer", "options", "message"),
    [
        ({"type": "RMSprop"}, {}, "of SGD, Adam, AdamW, and the recipe's optimizer is RMSprop"),
        ({"type": "Adam", "amsgrad": True}, {}, "AdamP has nothing like Adam's amsgrad=True"),
        ({"type": "SGD", "maximize": True}, {}, "SGDP has nothing like SGD's maximize=True"),
        ({"type": "SGD"}, {"delta": -1}, "delta must be a number ≥ 0, not -1"),
        ({"type": "SGD"}, {"wd_ratio": "1"}, "wd_ratio must be a number ≥ 0, not '1'"),
        ({"type": "SGD"}, {"weight_decay": 1e-3}, "the recipe has no weight_decay"),
    ],
)
def test_what_has_no_projected_form_is_refused(optimizer: dict, options: dict, message: str):
    with pytest.raises(OptionError, match=message):
        made(optimizer, **options)


def test_a_strength_is_that_of_scale_invariant_weights_only():
    pytest.importorskip("timm")
    model = Network()
    arm = made({"type": "SGD", "lr": 0.1, "weight_decay": 1e-2}, weight_decay=0.5)
    wrapper = build_optim_wrapper(model, ConfigDict(arm))
    model.train_step({"x": torch.randn(4, 3, 10, 10)}, wrapper)
    decay = decay_by_name(model, wrapper)
    assert decay["stem.0.weight"] == pytest.approx(0.5) and decay["head.weight"] == pytest.approx(1e-2)


@pytest.mark.parametrize("recipe", MINI)
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_updates_of_a_real_models_scale_invariant_weights_have_no_radial_part(recipe: str, optimizer: str):
    pytest.importorskip("timm")
    config = load_config(CONFIGS / "mini" / f"{recipe}.py")
    # A rate at which weights turn within three steps: momentum then has a part along them.
    given = {"type": optimizer, "lr": 0.3 if optimizer == "SGD" else 0.01, "weight_decay": 0.0}
    config.optim_wrapper.optimizer = {**given, "momentum": 0.9} if optimizer == "SGD" else given
    radial = {}
    for arm in ("wd", "projected"):
        model = build_model(config)
        names = [v.name for v in audit_model(model, random_batch(model)) if v.scale_invariant]
        model.zero_grad()
        wrapper = build_optim_wrapper(model, apply_regularizer(config, arm).optim_wrapper)
        parameters = dict(model.named_parameters())
        with seeded(0):
            for number in range(3):
                before = {name: parameters[name].detach().clone() for name in names}
                model.train_step(random_batch(model, seed=number), wrapper)
        radial[arm] = {name: share(before[name], parameters[name].detach()) for name in names}
    without = [name for name, found in radial["projected"].items() if found < 1e-3]
    # A filter that the loss hardly feels has gradients of rounding errors, which fail the cosine test.
    assert len(without) >= 0.8 * len(names) > 10
    # The check can fail: without the projection, not a few have one ten times as large.
    assert sum(radial["wd"][name] > 1e-2 for name in without) >= 5


def share(before: torch.Tensor, after: torch.Tensor) -> float:
    """The largest share of a filter's update that goes along the filter."""
    w, update = before.double().flatten(1), (after - before).double().flatten(1)
    moved = update.norm(dim=1) > 1e-6 * w.norm(dim=1)
    cosine = (w * update).sum(1).abs() / (w.norm(dim=1) * update.norm(dim=1)).clamp(min=1e-30)
    return float(cosine[moved].max()) if moved.any() else 0.0
