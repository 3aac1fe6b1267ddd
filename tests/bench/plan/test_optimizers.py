"""Optimizers by name: what they keep of a recipe's, and what does not exist."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import OPTIMIZERS

from wrs_mm.bench.plan.optimizers import check, decay_meaning, with_optimizer
from wrs_mm.errors import OptionError

OWN = {"type": "SGD", "lr": 0.02, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True}


def test_recipe_keeps_everything_and_changes_what_is_said():
    assert with_optimizer(OWN, "recipe", {}, None) == OWN
    assert with_optimizer(OWN, "recipe", {"momentum": 0.5}, 0.1) == {**OWN, "momentum": 0.5, "lr": 0.1}


def test_a_name_keeps_learning_rate_and_weight_decay_only():
    made = with_optimizer(OWN, "AdamW", {"betas": [0.9, 0.95]}, None)
    assert made == {"type": "AdamW", "lr": 0.02, "weight_decay": 1e-4, "betas": [0.9, 0.95]}
    assert with_optimizer(OWN, "AdamW", {"weight_decay": 0.05}, 1e-4) == {
        "type": "AdamW",
        "lr": 1e-4,
        "weight_decay": 0.05,
    }
    assert with_optimizer(OWN, "SGD", {}, None) == {"type": "SGD", "lr": 0.02, "weight_decay": 1e-4}


def test_an_optimizer_without_weight_decay_is_given_none():
    assert with_optimizer(OWN, "Rprop", {}, None) == {"type": "Rprop", "lr": 0.02}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", {"type": "SGD", "momentum": 0.9}),
        ("nesterov", {"type": "SGD", "momentum": 0.9, "nesterov": True}),
        ("adam", {"type": "Adam"}),
        ("adamw", {"type": "AdamW"}),
    ],
)
def test_a_standard_name_has_the_usual_momentum_and_keeps_learning_rate_and_weight_decay(name, expected):
    kept = {"lr": 0.02, "weight_decay": 1e-4}
    assert with_optimizer({**OWN, "momentum": 0.5}, name, {}, None) == {**expected, **kept}
    options = {"weight_decay": 0.1} if name.startswith("adam") else {"momentum": 0.8}
    assert with_optimizer(OWN, name, options, 0.3) == {**expected, **kept, **options, "lr": 0.3}
    with pytest.raises(OptionError, match=f"the optimizer {name} has no option 'beta'"):
        check(name, {"beta": 1})


def test_what_weight_decay_means_is_known_of_the_usual_ones():
    assert [decay_meaning({"type": kind}) for kind in ("SGD", "Adam", "AdamW")] == ["L2", "L2", "decoupled"]
    assert decay_meaning({"type": "Adam", "decoupled_weight_decay": True}) == "decoupled"
    assert decay_meaning({"type": "TimmSGDP"}) == decay_meaning({"type": "torch.optim.AdamW"}) == "decoupled"
    assert decay_meaning({"type": "Lion"}) is None


def test_what_weight_decay_means_is_what_the_optimizer_does():
    """Two updates without a gradient: L2 goes through momentum and Adam's division, decoupled does not."""
    others = ("ASGD", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta")
    for name in ("sgd", "adam", "adamw", *others):
        made = with_optimizer({"lr": 0.1, "weight_decay": 0.5}, name, {}, None)
        kind = made.pop("type")
        weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
        optimizer = OPTIMIZERS.get(kind)([weight], **made)
        for _ in range(2):
            weight.grad = torch.zeros_like(weight)
            optimizer.step()
        off_the_weight = abs(float(weight) - 2 * (1 - 0.1 * 0.5) ** 2) < 1e-9
        assert off_the_weight == (decay_meaning({"type": kind}) == "decoupled"), name


def test_an_import_path_is_a_name():
    assert with_optimizer(OWN, "torch.optim.NAdam", {}, None)["type"] == "torch.optim.NAdam"


def test_what_does_not_exist_is_named():
    with pytest.raises(OptionError, match="'nadam' is not known; did you mean NAdam"):
        check("nadam", {})
    with pytest.raises(OptionError, match=r"package\.module\.Class"):
        check("somewhere.Lion", {})
    with pytest.raises(OptionError, match="AdamW has no option 'momentum'; its options are lr, betas"):
        check("AdamW", {"momentum": 0.9})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"momentum": -1}, "SGD does not go like this: ValueError: Invalid momentum"),
        ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum"),
        ("nesterov", {"momentum": 0}, "Nesterov momentum requires a momentum"),
        ("adam", {"betas": 3}, "adam does not go like this: TypeError"),
        ("adam", {"weight_decay": -1}, "Invalid weight_decay"),
        ("LBFGS", {}, "LBFGS asks for a closure"),
        ("json.dumps", {}, "json.dumps does not go like this: TypeError"),
    ],
)
def test_what_an_optimizer_refuses_is_one_line(name: str, options: dict, message: str):
    with pytest.raises(OptionError, match=message) as caught:
        check(name, options)
    assert "\n" not in str(caught.value)
    assert check("SGD", {"momentum": 0.5, "lr": [0.1, 0.2]}) is None


def test_the_options_of_the_recipes_own_are_checked_with_the_recipe():
    with pytest.raises(OptionError, match="the optimizer SGD has no option 'foo'"):
        with_optimizer(OWN, "recipe", {"foo": 1}, None)
