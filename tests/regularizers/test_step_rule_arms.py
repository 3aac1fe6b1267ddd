"""The arms that are step rules: hyperball.py, rotational.py, scale_lr.py, shifted.py; and pbwn.py.

What they do to weights is held against their equations in tests/rescaling.
"""

from __future__ import annotations

from typing import Any

import pytest

from wrs_mm.errors import OptionError
from wrs_mm.regularizers import apply_regularizer, with_step_rule
from wrs_mm.regularizers.hyperball import hyperball
from wrs_mm.regularizers.pbwn import pbwn
from wrs_mm.regularizers.rotational import rotational
from wrs_mm.regularizers.scale_lr import scale_lr
from wrs_mm.regularizers.shifted import shifted

RECIPE = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}}
RULES = {
    "hyperball": {"type": "Hyperball", "granularity": "layer"},
    "rotational": {"type": "Rotational", "weight_decay": 1e-4, "decay": 0.9},
    "scale_lr": {"type": "ScaledRate", "power": "auto"},
    "shifted": {"type": "Shifted", "weight_decay": 1e-4, "epsilon": 1e-3},
}
ARMS: dict[str, Any] = {
    "hyperball": hyperball,
    "rotational": rotational,
    "scale_lr": scale_lr,
    "shifted": shifted,
    "pbwn": pbwn,
}


@pytest.mark.parametrize("name", RULES)
def test_an_arm_is_a_step_rule_and_the_recipes_optimizer_stays(name: str) -> None:
    assert ARMS[name](RECIPE) == {
        **RECIPE,
        "type": "StepRuleOptimWrapper",
        "constructor": "ScaleInvariantOptimWrapperConstructor",
        "rule": RULES[name],
    }


def test_the_projection_has_a_wrapper_of_its_own() -> None:
    arm = pbwn(RECIPE, interval=7, frozen_bn="fold")
    assert (arm["type"], arm["pbwn"]) == ("PBWNOptimWrapper", {"interval": 7, "frozen_bn": "fold"})
    assert pbwn(RECIPE)["pbwn"] == {"interval": 10}
    assert "paramwise_cfg" not in arm  # weight decay stays on


@pytest.mark.parametrize("name", ["rotational", "shifted"])
def test_the_strength_is_the_recipes_or_the_one_given(name: str) -> None:
    assert ARMS[name](RECIPE)["rule"]["weight_decay"] == 1e-4
    arm = ARMS[name](RECIPE, weight_decay=1e-2)
    assert arm["rule"]["weight_decay"] == 1e-2 and arm["optimizer"] == RECIPE["optimizer"]
    without = {"optimizer": {"type": "SGD", "lr": 0.1}}
    assert ARMS[name](without, weight_decay=1e-2)["rule"]["weight_decay"] == 1e-2
    with pytest.raises(OptionError, match=f"{name}: the recipe's optimizer has no weight_decay to go by"):
        ARMS[name](without)
    with pytest.raises(OptionError, match=f"{name}: weight_decay must be a number > 0, not 0"):
        ARMS[name](RECIPE, weight_decay=0)


@pytest.mark.parametrize("name", ARMS)
def test_frozen_bn_and_mixed_precision_stay_what_they_are(name: str) -> None:
    arm = ARMS[name]({**RECIPE, "type": "AmpOptimWrapper", "clip_grad": {"max_norm": 1}}, frozen_bn="fold")
    assert arm["type"] == f"Amp{'PBWN' if name == 'pbwn' else 'StepRule'}OptimWrapper"
    assert arm["clip_grad"] == {"max_norm": 1}
    assert arm["pbwn" if name == "pbwn" else "scale_invariance"]["frozen_bn"] == "fold"
    with pytest.raises(OptionError, match="frozen_bn must be 'skip' or 'fold', not 'flod'"):
        ARMS[name](RECIPE, frozen_bn="flod")


@pytest.mark.parametrize("name", ARMS)
def test_what_another_arm_said_goes(name: str) -> None:
    for other in ARMS:
        assert ARMS[name](ARMS[other](RECIPE, frozen_bn="fold")) == ARMS[name](RECIPE)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hyperball", {"granularity": "pixel"}, "granularity must be"),
        ("rotational", {"decay": 1}, "decay must be a number in"),
        ("scale_lr", {"power": 3}, "power must be 'auto', 1 or 2"),
        ("shifted", {"epsilon": -1}, "epsilon must be a number ≥ 0"),
        ("pbwn", {"interval": 0}, "interval must be a whole number ≥ 1"),
        ("pbwn", {"interval": "epoch"}, "interval must be a whole number ≥ 1"),
    ],
)
def test_a_value_out_of_its_range_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ARMS[name](RECIPE, **options)


def test_a_rule_that_there_is_not_is_refused_when_the_arm_is_made() -> None:
    with pytest.raises(OptionError, match="there is no step rule 'Hyperbal'"):
        with_step_rule(RECIPE, "Hyperbal")


def test_the_learning_rate_is_the_arms_and_the_rule_goes_by_the_optimizers() -> None:
    from mmengine.config import Config

    arm = apply_regularizer(Config({"optim_wrapper": RECIPE}), "hyperball", lr=0.01)
    assert arm.optim_wrapper.optimizer.lr == 0.01
