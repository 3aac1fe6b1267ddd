"""The arm ``wrs_matched``: WRS whose norms follow the recipe's weight decay, or another strength of it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from toy_training import INVARIANT, Network, decay_by_name, filter_norms, step

from wrs_mm.errors import OptionError
from wrs_mm.regularizers.wrs_matched import wrs_matched

ROOT = Path(__file__).resolve().parents[2]
RECIPE = {
    "type": "OptimWrapper",
    "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
}


def test_it_is_wrs_with_a_target_that_moves():
    assert wrs_matched(RECIPE) == {
        **RECIPE,
        "type": "WRSOptimWrapper",
        "constructor": "ScaleInvariantOptimWrapperConstructor",
        "wrs": {"target": "init_rms", "target_schedule": "decay_and_growth_by_layer"},
    }
    said = wrs_matched(RECIPE, target=2.0, target_schedule="decay", interval=5, frozen_bn="fold")["wrs"]
    assert said == {"target": 2.0, "target_schedule": "decay", "interval": 5, "frozen_bn": "fold"}


def test_a_strength_is_a_factor_on_the_recipes_for_scale_invariant_weights_only():
    arm = wrs_matched(RECIPE, weight_decay=1e-1, other_decay=False)
    assert arm["optimizer"] == RECIPE["optimizer"]
    factors = {"scale_invariant_decay_mult": pytest.approx(10), "other_decay_mult": 0.0}
    assert arm["paramwise_cfg"] == factors


@pytest.mark.parametrize(
    ("options", "scale_invariant", "others"),
    [({}, 1e-2, 1e-2), ({"weight_decay": 0.5}, 0.5, 1e-2), ({"other_decay": False}, 1e-2, 0.0)],
)
@pytest.mark.parametrize("schedule", ["decay", "decay_and_growth", "decay_and_growth_by_layer"])
def test_training_with_it_keeps_one_norm_or_one_of_each_layer_that_follows_the_weight_decay(
    schedule: str, options: dict[str, Any], scale_invariant: float, others: float
):
    torch.manual_seed(0)
    model = Network()
    arm = wrs_matched(RECIPE, target=2.0, target_schedule=schedule, **options)
    wrapper = build_optim_wrapper(model, ConfigDict(arm))
    for _ in range(3):
        step(model, wrapper)
    for name, decay in decay_by_name(model, wrapper).items():
        assert decay == pytest.approx(scale_invariant if name in INVARIANT else others), name
    norms = filter_norms(model)
    layers = [model.get_parameter(name).detach().flatten(1).norm(dim=1) for name in INVARIANT]
    for held in layers if schedule == "decay_and_growth_by_layer" else [norms]:
        assert float(held.max() / held.min()) == pytest.approx(1, rel=1e-6)
    if schedule == "decay_and_growth_by_layer":
        assert float(norms.max() / norms.min()) > 1 + 1e-5
    if schedule == "decay":
        assert float(norms[0]) == pytest.approx(2 * without_gradient(scale_invariant, 3), rel=1e-6)
    assert abs(float(norms[0]) / 2 - 1) > 1e-4


def without_gradient(decay: float, updates: int) -> float:
    """What SGD with a momentum of 0.9 and a learning rate of 0.1 leaves of 1."""
    norm, buffer = 1.0, 0.0
    for _ in range(updates):
        buffer = 0.9 * buffer + decay * norm
        norm -= 0.1 * buffer
    return norm


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_schedule": "constant"}, "'constant' is the arm wrs"),
        ({"target_schedule": "growth"}, "target_schedule must be 'constant', 'decay', 'decay_and_growth' or"),
        ({"weight_decay": 0}, "norms follow weight decay, and there is none"),
        ({"weight_decay": -1}, "weight_decay must be a number ≥ 0"),
        ({"target": "rms"}, "target must be"),
        ({"other_decay": 1}, "other_decay must be"),
    ],
)
def test_a_value_out_of_its_range_is_refused_in_one_line(options: dict[str, Any], message: str):
    with pytest.raises(OptionError, match=message) as caught:
        wrs_matched(RECIPE, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weight_decay", [None, 1e-3])
def test_a_recipe_without_weight_decay_has_none_to_follow(weight_decay: float | None):
    with pytest.raises(OptionError, match="norms follow weight decay, and there is none"):
        wrs_matched({"type": "OptimWrapper", "optimizer": {"type": "SGD"}}, weight_decay=weight_decay)


def test_its_card_has_a_row_for_each_option_with_its_default():
    text = (ROOT / "docs" / "regularizers" / "wrs_matched.md").read_text(encoding="utf-8")
    table = text.partition("## Options")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()]
    said = {name.strip("`"): ast.literal_eval(default.strip("`")) for name, default, _ in rows}
    parameters = list(inspect.signature(wrs_matched).parameters.values())[1:]
    assert list(said.items()) == [(p.name, p.default) for p in parameters]
