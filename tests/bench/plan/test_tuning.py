"""Tuning as a plan says it: where each arm looks. Mistakes in it are those of test_plan.py."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wrs_mm.bench.plan.entries import Regularizer
from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.bench.plan.search import Choices, Range, points
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
    TUNING.check(listed, [0], ["recipe"])
    whole = Tuning(
        trials=4, search={"wrs": {"interval": {"low": 1, "high": 9, "scale": "linear"}}}, seeds=[100]
    )
    with pytest.raises(Mistake, match="interval") as caught:
        whole.check(listed, [0], ["recipe"])
    assert caught.value.location[:3] == ("tuning", "search", "wrs")


OPTIMIZERS = Tuning(
    trials=4,
    search={"lr": [0.01, 1], "wd": {"weight_decay": [1e-4, 0.1]}, "wrs": {"lr": [0.1, 1]}},
    optimizers={"adam": {"lr": [1e-4, 1e-1], "wd": {"weight_decay": [1e-2, 10], "lr": [1e-3, 1e-2]}}},
    seeds=[100],
)


def test_what_is_said_for_an_optimizer_holds_with_it_and_with_no_other():
    for optimizer in ("recipe", "sgd"):
        assert OPTIMIZERS.space("wd", optimizer=optimizer) == OPTIMIZERS.space("wd")
    assert OPTIMIZERS.space("none", optimizer="adam") == {"lr": Range(1e-4, 1e-1)}
    # The optimizer speaks after the regularizer, and of it the regularizer last.
    assert OPTIMIZERS.space("wrs", optimizer="adam") == {"lr": Range(1e-4, 1e-1)}
    assert OPTIMIZERS.space("wd", optimizer="adam") == {
        "lr": Range(1e-3, 1e-2),
        "weight_decay": Range(1e-2, 10),
    }
    assert OPTIMIZERS.space("wd", {"lr"}, "adam").keys() == {"weight_decay", "lr"}


def test_with_an_optimizer_of_its_own_search_a_setting_keeps_its_coordinate():
    for one, other in zip(
        points(OPTIMIZERS.space("wd"), 16), points(OPTIMIZERS.space("wd", optimizer="adam"), 16), strict=True
    ):
        assert list(one) == list(other)
        for name in one:
            share = OPTIMIZERS.space("wd")[name].share(one[name])
            assert OPTIMIZERS.space("wd", optimizer="adam")[name].share(other[name]) == pytest.approx(
                share, abs=0.01
            )
    longest = points(OPTIMIZERS.space("wd", optimizer="adam"), 16)
    assert points(OPTIMIZERS.space("wd", optimizer="adam"), 5) == longest[:5]


def test_a_setting_knows_the_key_that_widens_it_with_each_optimizer():
    assert OPTIMIZERS.key("none", "lr", "adam") == "tuning.optimizers.adam.lr"
    assert OPTIMIZERS.key("wd", "weight_decay", "adam") == "tuning.optimizers.adam.wd.weight_decay"
    assert OPTIMIZERS.key("wrs", "lr", "adam") == "tuning.optimizers.adam.lr"
    assert OPTIMIZERS.key("wrs", "lr", "sgd") == "tuning.search.wrs.lr"
    assert OPTIMIZERS.key("wd", "weight_decay", "sgd") == "tuning.search.wd.weight_decay"


def test_searches_of_optimizers_survive_json():
    assert Tuning.model_validate_json(OPTIMIZERS.model_dump_json()) == OPTIMIZERS


@pytest.mark.parametrize(
    ("optimizers", "message", "location"),
    [
        ({"adm": {"lr": [1, 2]}}, "'adm' is not among the optimizers; did you mean adam", ("adm",)),
        ({"adam": {"wdd": {"lr": [1, 2]}}}, "'wdd' is not among the regularizers; did you", ("adam", "wdd")),
        ({"adam": {"wd": {"weight_decay": [-1, 1]}}}, "begins above 0", ("adam", "wd", "weight_decay")),
        ({"adam": {"wd": {"decay": [1, 2]}}}, "has no option 'decay'", ("adam", "wd", "decay")),
        ({"adam": 3}, "write", ("adam",)),
        ([], r"write \{adam: \{lr: \[low, high\]\}\}, not \[\]", ()),
    ],
)
def test_a_mistake_in_an_optimizers_search_is_located(optimizers, message, location):
    with pytest.raises((Mistake, ValidationError), match=message) as caught:
        made = Tuning(trials=2, search={"lr": [0.01, 1]}, optimizers=optimizers, seeds=[100])
        made.check([Regularizer(name="wd")], [0], ["sgd", "adam"])
    error = caught.value
    if isinstance(error, ValidationError):
        error = error.errors()[0]["ctx"]["error"]
        assert error.location == location
    else:
        assert error.location == ("tuning", "optimizers", *location)
