"""Entries of a plan: their forms, their places and what each checks itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.plan.entries import Entry, Optimizer, Recipe, Regularizer
from wrs_mm.bench.plan.mistakes import Mistake


def _location(entry: Entry) -> tuple:
    """Where a check says that the mistake in an entry is."""
    with pytest.raises(Mistake) as caught:
        entry.check(Path())
    return caught.value.location


def test_a_list_and_a_mapping_say_the_same_and_each_entry_knows_its_place():
    listed = Regularizer.parse_all(["none", {"wd": {"weight_decay": 0.1}, "wrs": None}])
    mapped = Regularizer.parse_all({"none": None, "wd": {"weight_decay": 0.1}, "wrs": None})
    assert [(entry.name, entry.options) for entry in listed] == [
        ("none", {}),
        ("wd", {"weight_decay": 0.1}),
        ("wrs", {}),
    ]
    assert [(entry.name, entry.options) for entry in mapped] == [(e.name, e.options) for e in listed]
    assert [entry.location for entry in listed] == [(0,), (1, "wd"), (1, "wrs")]
    assert [entry.location for entry in mapped] == [("none",), ("wd",), ("wrs",)]


def test_arms_are_all_combinations_of_the_listed_values():
    entry = Regularizer(name="wrs", options={"interval": [1, 2], "target": ["unit", "init"]})
    assert entry.arms() == [
        {"interval": interval, "target": target} for interval in (1, 2) for target in ("unit", "init")
    ]
    assert Regularizer(name="wrs").arms() == [{}]


def test_a_learning_rate_of_an_arm_is_a_setting_and_no_option():
    entry = Regularizer(name="wd", options={"lr": 0.05, "weight_decay": [0.1, 0.2]})
    assert entry.arms() == [{"weight_decay": 0.1}, {"weight_decay": 0.2}]
    assert entry.settings() == {"lr": 0.05}
    assert (
        Regularizer(name="wd", options={"lr": "recipe"}).settings() == Regularizer(name="wd").settings() == {}
    )


def test_a_recipe_is_named_as_its_config_unless_it_has_a_name():
    assert Recipe.model_validate("a") == Recipe(config="a", name="a")
    assert Recipe.model_validate({"config": "a"}).name == "a"
    assert Recipe.model_validate({"config": "a", "name": "b"}).name == "b"


def test_an_optimizer_splits_learning_rates_from_other_options():
    entry = Optimizer(name="AdamW", options={"lr": [0.1, "recipe"], "betas": [0.9, 0.95]})
    assert entry.own_rates() == [0.1, None]
    assert entry.other_options() == {"betas": [0.9, 0.95]}
    assert Optimizer(name="SGD", options={"lr": 0.1}).own_rates() == [0.1]
    assert Optimizer(name="SGD").own_rates() is None


@pytest.mark.parametrize(
    ("entry", "within"),
    [
        (Recipe(config="nowhere", name="a"), ()),
        (Regularizer(name="wrss"), ()),
        (Regularizer(name="wrs", options={"interval": []}), ("interval",)),
        (Regularizer(name="wrs", options={"target": "unit", "interval": [1, 0]}), ("interval",)),
        (Regularizer(name="wrs", options={"target": "unit", "intervall": 1}), ("intervall",)),
        (Regularizer(name="wrs", options={"lr": -1}), ("lr",)),
        (Regularizer(name="wrs", options={"lr": [0.1, 0.2]}), ("lr",)),
        (Optimizer(name="adamm"), ()),
        (Optimizer(name="SGD", options={"momentum": 0.9, "momentums": 1}), ("momentums",)),
        (Optimizer(name="SGD", options={"lr": [0.1, -1]}), ("lr", 1)),
    ],
)
def test_a_check_says_where_it_found_what(entry, within):
    assert _location(entry.at("key", 3)) == ("key", 3, *within)


def test_what_exists_passes():
    for entry in (
        Recipe(config="mini/pspnet_r18-narrow_mini-cityscapes", name="a"),
        Regularizer(name="wd", options={"weight_decay": [0.1, 0.2]}),
        Optimizer(name="recipe", options={"lr": 1, "anything": 2}),
    ):
        entry.check(Path())
