"""Optimizers by name: what they keep of a recipe's, and what does not exist."""

from __future__ import annotations

import pytest

from wrs_mm.bench.plan.optimizers import check, with_optimizer
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
    assert with_optimizer(OWN, "LBFGS", {}, None) == {"type": "LBFGS", "lr": 0.02}


def test_an_import_path_is_a_name():
    assert with_optimizer(OWN, "torch.optim.NAdam", {}, None)["type"] == "torch.optim.NAdam"


def test_what_does_not_exist_is_named():
    with pytest.raises(OptionError, match="'adamw' is not known; did you mean AdamW"):
        check("adamw", {})
    with pytest.raises(OptionError, match=r"package\.module\.Class"):
        check("somewhere.Lion", {})
    with pytest.raises(OptionError, match="AdamW has no option 'momentum'; its options are lr, betas"):
        check("AdamW", {"momentum": 0.9})
