"""The arm ``wd``: the recipe as it is, or another strength on the scale-invariant weights."""

from __future__ import annotations

import pytest
import torch

from wrs_mm.errors import OptionError
from wrs_mm.regularizers.shifted import shifted
from wrs_mm.regularizers.wd import wd
from wrs_mm.regularizers.wrs_matched import wrs_matched

RECIPE = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}}


@pytest.mark.parametrize("frozen_bn", ["skip", "fold"])
def test_without_a_strength_the_recipe_is_left_as_it_is(frozen_bn: str):
    assert wd(RECIPE, frozen_bn=frozen_bn) == wd(RECIPE, granularity="group") == RECIPE


def test_a_strength_is_a_factor_on_the_recipes_for_scale_invariant_weights_only():
    arm = wd(RECIPE, weight_decay=1e-3, granularity="group", frozen_bn="fold")
    assert arm["optimizer"] == RECIPE["optimizer"]
    assert arm["paramwise_cfg"] == {"scale_invariant_decay_mult": pytest.approx(10)}
    assert arm["scale_invariance"] == {"granularity": "group", "frozen_bn": "fold"}


@pytest.mark.parametrize("strength", [-1, True, "1e-4", float("nan"), float("inf")])
def test_a_strength_is_a_number_of_at_least_zero(strength: object):
    with pytest.raises(OptionError, match="weight_decay must be a number ≥ 0"):
        wd(RECIPE, weight_decay=strength)


@pytest.mark.parametrize("recipe", [{"type": "SGD", "lr": 0.1}, {"type": "SGD", "weight_decay": 0}])
def test_a_recipe_without_weight_decay_has_none_to_multiply(recipe: dict):
    with pytest.raises(OptionError, match="the recipe has no weight_decay"):
        wd({"type": "OptimWrapper", "optimizer": recipe}, weight_decay=1e-3)


def test_an_optimizer_that_is_not_told_has_the_weight_decay_of_its_class():
    recipe = {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 1e-3}}
    built = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])
    arm = wd(recipe, weight_decay=0.05)
    mult = arm["paramwise_cfg"]["scale_invariant_decay_mult"]
    assert mult * built.param_groups[0]["weight_decay"] == pytest.approx(0.05)
    assert wrs_matched(recipe)["optimizer"] == shifted(recipe)["optimizer"] == recipe["optimizer"]


@pytest.mark.parametrize("weight_decay", [None, 1e-3])
def test_a_misspelt_option_is_refused_when_the_arm_is_made(weight_decay: float | None):
    with pytest.raises(OptionError, match="frozen_bn must be 'skip' or 'fold', not 'flod'"):
        wd(RECIPE, weight_decay=weight_decay, frozen_bn="flod")
