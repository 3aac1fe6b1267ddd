"""The arm ``wrs``: its config says the options that are not the defaults."""

from __future__ import annotations

import pytest

from wrs_mm.errors import OptionError
from wrs_mm.regularizers.wrs import wrs

RECIPE = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}}


def test_defaults_are_not_said():
    arm = wrs(RECIPE)
    assert arm == {
        **RECIPE,
        "type": "WRSOptimWrapper",
        "constructor": "ScaleInvariantOptimWrapperConstructor",
        "wrs": {},
    }
    assert wrs(RECIPE, granularity="filter", interval=1)["wrs"] == {}


def test_other_values_are():
    assert wrs(RECIPE, target="init", frozen_bn="fold")["wrs"] == {"target": "init", "frozen_bn": "fold"}


@pytest.mark.parametrize("options", [{"granularity": "pixel"}, {"interval": 0}, {"target": -1}])
def test_a_value_out_of_its_range_is_refused(options: dict):
    with pytest.raises(OptionError):
        wrs(RECIPE, **options)


def test_what_the_recipes_own_wrapper_said_of_another_arm_goes():
    recipe = {**RECIPE, "type": "ScaleInvariantOptimWrapper", "scale_invariance": {"frozen_bn": "fold"}}
    assert wrs(recipe) == wrs(RECIPE)
