"""Tuning as a plan says it: where each arm looks. Mistakes in it are those of test_plan.py."""

from __future__ import annotations

import pytest

from wrs_mm.bench.plan.entries import Regularizer
from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.bench.plan.search import Choices, Range
from wrs_mm.bench.plan.tuning import Tuning

TUNING = Tuning(
    trials=4,
    search={
        "lr": [0.01, 1],
        "wd": {"weight_decay": [1e-5, 0.1]},
        "wrs": {
            "granularity": {"choices": ["filter", "layer"]},
            "lr": {"low": 1, "high": 2, "scale": "linear"},
        },
    },
    seeds=[100],
)


def test_all_arms_look_for_lr_and_each_for_its_own():
    assert TUNING.space("none") == {"lr": Range(0.01, 1)}
    assert TUNING.space("wd") == {"lr": Range(0.01, 1), "weight_decay": Range(1e-5, 0.1)}
    assert TUNING.space("wrs") == {"lr": Range(1, 2, "linear"), "granularity": Choices(["filter", "layer"])}


def test_an_arm_with_an_lr_of_its_own_does_not_look_for_it():
    assert TUNING.space("none", {"lr"}) == {}
    assert list(TUNING.space("wd", {"lr"})) == ["weight_decay"]


def test_each_setting_knows_the_key_that_widens_it():
    keys = [TUNING.key("none", "lr"), TUNING.key("wd", "lr"), TUNING.key("wd", "weight_decay")]
    assert keys == ["tuning.search.lr", "tuning.search.lr", "tuning.search.wd.weight_decay"]
    assert TUNING.key("wrs", "lr") == "tuning.search.wrs.lr"


def test_what_was_read_from_a_plan_can_be_read_from_json():
    assert Tuning.model_validate_json(TUNING.model_dump_json()) == TUNING


def test_every_point_is_checked_with_each_of_the_arms():
    listed = [
        Regularizer(name="wrs", options={"target": [1, 2]}),
        Regularizer(name="wd"),
        Regularizer(name="none"),
    ]
    TUNING.check(listed, [0])
    whole = Tuning(
        trials=4, search={"wrs": {"interval": {"low": 1, "high": 9, "scale": "linear"}}}, seeds=[100]
    )
    with pytest.raises(Mistake, match="interval") as caught:
        whole.check(listed, [0])
    assert caught.value.location[:3] == ("tuning", "search", "wrs")
