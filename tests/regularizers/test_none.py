"""The arm ``none``: no weight decay on the scale-invariant weights, and nothing else."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from torch import nn

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.regularizers.none import none
from wrs_mm.regularizers.wd import wd
from wrs_mm.regularizers.wrs import wrs

RECIPE = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}}


def test_it_switches_off_the_decay_of_scale_invariant_weights():
    arm = none(RECIPE)
    assert arm["type"] == "ScaleInvariantOptimWrapper"
    assert arm["paramwise_cfg"] == {"scale_invariant_decay_mult": 0.0}
    assert arm["optimizer"] == RECIPE["optimizer"]
    assert "scale_invariance" not in arm


@pytest.mark.parametrize("option", [{"frozen_bn": "fold"}, {"granularity": "group"}])
def test_what_counts_as_scale_invariant_is_an_option(option: dict[str, str]):
    assert none(RECIPE, **option)["scale_invariance"] == option


@pytest.mark.parametrize("kind", ["AmpOptimWrapper", "mmengine.optim.AmpOptimWrapper"])
def test_mixed_precision_and_other_factors_stay(kind: str):
    recipe = {**RECIPE, "type": kind, "paramwise_cfg": {"norm_decay_mult": 0.0}, "loss_scale": 512.0}
    arm = none(recipe)
    assert arm["type"] == "AmpScaleInvariantOptimWrapper" and arm["loss_scale"] == 512.0
    assert arm["paramwise_cfg"] == {"norm_decay_mult": 0.0, "scale_invariant_decay_mult": 0.0}
    assert recipe["paramwise_cfg"] == {"norm_decay_mult": 0.0}


def test_a_misspelt_option_is_refused_when_the_arm_is_made():
    with pytest.raises(OptionError, match="frozen_bn must be 'skip' or 'fold', not 'flod'"):
        none(RECIPE, frozen_bn="flod")


class Grouped(nn.Module):
    """Two convolutions, of which GroupNorm takes filters together, and a linear layer."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, bias=bias), nn.GroupNorm(2, 8), nn.ReLU()),
            *(nn.Conv2d(8, 8, 3, bias=bias), nn.GroupNorm(4, 8), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(8 * 16, 2)),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layers(inputs)


def decays(arm: dict, bias: bool = False) -> dict[str, float]:
    """The weight decay of each parameter once the arm has found its weights."""
    torch.manual_seed(0)
    model = Grouped(bias)
    wrapper = build_optim_wrapper(model, ConfigDict(arm))
    with wrapper.optim_context(model):
        loss = model(torch.randn(2, 3, 8, 8)).square().mean()
    wrapper.update_params(loss)
    groups = wrapper.optimizer.param_groups
    by_id = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    return {name: by_id[id(parameter)] for name, parameter in model.named_parameters()}


def test_by_groups_it_is_wrs_by_groups_without_the_rescale():
    found = decays(none(RECIPE, granularity="group"))
    assert found == decays(wrs(RECIPE, granularity="group"))
    assert {name for name, decay in found.items() if decay == 0} == {"layers.0.weight", "layers.3.weight"}
    # As is weight decay of another strength: on the same weights.
    other = decays(wd(RECIPE, weight_decay=1e-2, granularity="group"))
    assert {name for name, decay in other.items() if decay == 1e-2} == {"layers.0.weight", "layers.3.weight"}
    with pytest.raises(ModelError, match=r"write scale_invariance=dict\(granularity='group'\)"):
        decays(none(RECIPE))
    # GroupNorm feels a bias that is not scaled with its filter: there the option does not help.
    with pytest.raises(ModelError, match="no weight feeds only norm layers"):
        decays(none(RECIPE, granularity="group"), bias=True)
