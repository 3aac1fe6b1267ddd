"""A recipe's own constructor makes the groups; an arm changes but the decay of scale-invariant weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from group_settings import settings
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.optim import (
    AmpOptimWrapper,
    DefaultOptimWrapperConstructor,
    OptimWrapper,
    OptimWrapperDict,
    build_optim_wrapper,
)
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, DefaultScope
from torch import Tensor, nn

from wrs_mm.errors import OptionError
from wrs_mm.regularizers import REGULARIZERS

LAYER_DECAY = "LearningRateDecayOptimizerConstructor"
INVARIANT = ("backbone.downsample_layers.0.0.weight", "backbone.stages.0.0.weight")
X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class SmallConvNeXt(nn.Module):
    """Parameters with the names of a ConvNeXt's, which the constructors read, before batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))]
        )
        self.stages = nn.ModuleList([nn.Sequential(nn.Conv2d(4, 5, 3, bias=False), nn.BatchNorm2d(5))])

    def forward(self, x: Tensor) -> Tensor:
        return self.stages[0](self.downsample_layers[0](x).relu())


class Network(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = SmallConvNeXt()
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor, mode: str = "tensor") -> Any:
        y = self.head(self.backbone(x).mean((2, 3)))
        return {"loss": (y - 1).square().sum()} if mode == "loss" else y


def network() -> Network:
    torch.manual_seed(1)
    return Network().double().train()


def recipe(**more: Any) -> dict[str, Any]:
    return {
        "type": "OptimWrapper",
        "optimizer": {"type": "AdamW", "lr": 0.01, "weight_decay": 0.3},
        "constructor": LAYER_DECAY,
        "paramwise_cfg": {"decay_rate": 0.7, "decay_type": "stage_wise", "num_layers": 2},
        **more,
    }


def build(model: nn.Module, config: dict[str, Any], scope: str = "mmseg") -> Any:
    import mmdet.engine  # noqa: F401
    import mmseg.engine  # noqa: F401

    with DefaultScope.overwrite_default_scope(scope):
        return build_optim_wrapper(model, ConfigDict(config))


@pytest.mark.parametrize("scope", ["mmdet", "mmseg"])
@pytest.mark.parametrize("arm", ["none", "wrs"])
def test_groups_are_the_recipes_but_for_the_decay_of_scale_invariant_weights(arm: str, scope: str) -> None:
    model, other = network(), network()
    expected = settings(other, build(other, recipe(), scope))
    wrapper = build(model, REGULARIZERS[arm](recipe()), scope)
    assert settings(model, wrapper) == expected
    model.train_step({"x": X}, wrapper)
    assert settings(model, wrapper) == {
        name: {**said, "weight_decay": 0.0 if name in INVARIANT else said["weight_decay"]}
        for name, said in expected.items()
    }
    # A fact of the recipe, so that this is about something: several rates, and decay on these weights.
    assert len({said["lr_scale"] for said in expected.values()}) == 3
    assert all(expected[name]["weight_decay"] == 0.3 for name in INVARIANT)


@pytest.mark.parametrize("arm", ["none", "wrs"])
def test_names_stay_with_the_parameters_that_they_name(arm: str) -> None:
    model = network()
    wrapper = build(model, REGULARIZERS[arm](recipe()))
    model.train_step({"x": X}, wrapper)
    parameters = dict(model.named_parameters())
    for group in wrapper.optimizer.param_groups:
        assert [id(parameters[name]) for name in group["param_names"]] == [id(p) for p in group["params"]]
    partners = [group for group in wrapper.optimizer.param_groups if group["scale_invariant"]]
    assert sorted(name for group in partners for name in group["param_names"]) == sorted(INVARIANT)


@pytest.mark.parametrize("arm", ["none", "wrs", "wd"])
def test_steps_are_those_of_the_recipe_with_its_groups_split_by_hand(arm: str) -> None:
    strength = {"weight_decay": 0.9} if arm == "wd" else {}
    model, other = network(), network()
    wrapper = build(model, REGULARIZERS[arm](recipe(), **strength))
    # The recipe's optimizer, each of its groups split in two before the first step.
    made = build(other, recipe()).optimizer.param_groups
    weights = {id(dict(other.named_parameters())[name]) for name in INVARIANT}
    groups = []
    for group in made:
        for invariant in (False, True):
            inside = [p for p in group["params"] if (id(p) in weights) == invariant]
            decay = 3 * group["weight_decay"] if arm == "wd" else 0.0
            said = {"lr": group["lr"], "weight_decay": decay if invariant else group["weight_decay"]}
            groups.append({"params": inside, **said})
    by_hand = torch.optim.AdamW([group for group in groups if group["params"]])
    for _ in range(4):
        model.train_step({"x": X}, wrapper)
        by_hand.zero_grad()
        other(X, mode="loss")["loss"].backward()
        by_hand.step()
        if arm == "wrs":
            for name in INVARIANT:
                w = dict(other.named_parameters())[name].data
                w /= w.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-13, msg=name)
    assert not torch.equal(network().head.weight, model.head.weight)


@pytest.mark.parametrize("arm", ["none", "wrs"])
def test_a_resumed_run_goes_on_as_the_one_that_was_not(arm: str) -> None:
    model = network()
    wrapper = build(model, REGULARIZERS[arm](recipe()))
    for _ in range(2):
        model.train_step({"x": X}, wrapper)
    resumed = network()
    resumed.load_state_dict(model.state_dict())
    again = build(resumed, REGULARIZERS[arm](recipe()))
    again.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    for _ in range(2):
        model.train_step({"x": X}, wrapper)
        resumed.train_step({"x": X}, again)
    for p, q in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)
    assert settings(resumed, again) == settings(model, wrapper)


def test_the_arm_keeps_what_else_the_recipes_wrapper_does() -> None:
    config = recipe(clip_grad={"max_norm": 0.5}, accumulative_counts=3)
    wrapper = build(network(), REGULARIZERS["wrs"](config))
    assert wrapper.clip_grad_kwargs == {"max_norm": 0.5} and wrapper._accumulative_counts == 3


def test_a_constructor_named_by_its_class_or_path_is_extended_too() -> None:
    import mmseg.engine

    kind = mmseg.engine.LearningRateDecayOptimizerConstructor
    named = f"{kind.__module__}.{kind.__name__}"
    wrappers = [
        build(network(), REGULARIZERS["wrs"](recipe(constructor=c))) for c in (LAYER_DECAY, kind, named)
    ]
    groups = [[g["group_name"] for g in w.optimizer.param_groups] for w in wrappers]
    assert groups[0] == groups[1] == groups[2] and len(groups[0]) > 2


def test_a_constructor_without_a_paramwise_cfg_sees_none() -> None:
    seen = []

    @OPTIM_WRAPPER_CONSTRUCTORS.register_module(name="Seeing", force=True)
    class Seeing(DefaultOptimWrapperConstructor):
        def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
            seen.append((optim_wrapper_cfg["type"], paramwise_cfg))
            super().__init__(optim_wrapper_cfg, paramwise_cfg)

    config = recipe(constructor="Seeing", paramwise_cfg=None)
    wrapper = build(network(), REGULARIZERS["none"](config))
    assert seen == [("OptimWrapper", None)] and len(wrapper.optimizer.param_groups) == 2


# -- refused ------------------------------------------------------------------------------------------


class TwoOptimizers(DefaultOptimWrapperConstructor):
    def __call__(self, model: nn.Module) -> Any:
        return OptimWrapperDict(all=super().__call__(model))


class MixedPrecision(DefaultOptimWrapperConstructor):
    def __call__(self, model: nn.Module) -> Any:
        wrapper = super().__call__(model)
        wrapper.__class__ = AmpOptimWrapper
        return wrapper


class Clipping(DefaultOptimWrapperConstructor):
    def __call__(self, model: nn.Module) -> Any:
        return OptimWrapper(super().__call__(model).optimizer, clip_grad={"max_norm": 1})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "LearningRateDecayConstructor",
            "there is no constructor 'LearningRateDecayConstructor' for base_constr",
        ),
        (
            TwoOptimizers,
            "base_constructor='TwoOptimizers' makes a OptimWrapperDict, which our wrappers cannot",
        ),
        (
            MixedPrecision,
            "base_constructor='MixedPrecision' makes a AmpOptimWrapper, which our wrappers cannot",
        ),
        (Clipping, "base_constructor='Clipping' sets clip_grad_kwargs, clip_func, grad_name of the wrapper"),
    ],
)
def test_a_constructor_that_makes_more_than_an_optimizer_is_refused(kind: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        build(network(), REGULARIZERS["wrs"](recipe(constructor=kind, paramwise_cfg=None)))
    assert "\n" not in str(caught.value)
