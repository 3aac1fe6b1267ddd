"""The kinds of value that a plan's keys hold. With file and line, their mistakes: test_plan.py."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from wrs_mm.bench.plan.fields import CfgOptions, LearningRates, Links, Seeds
from wrs_mm.bench.plan.mistakes import Mistake


def _location(kind: Any, value: Any) -> tuple[Any, ...]:
    """Where, within a value, the mistake in it is."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    mistake = caught.value.errors()[0]["ctx"]["error"]
    assert isinstance(mistake, Mistake)
    return mistake.location


def test_the_recipes_learning_rate_is_none_and_others_are_floats():
    rates = TypeAdapter(LearningRates).validate_python(["recipe", 1, 0.1])
    assert rates == [None, 1.0, 0.1] and isinstance(rates[1], float)


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan"), True, "fast", 0.1])
def test_what_is_no_learning_rate_or_there_already_is_found_at_its_position(rate):
    assert _location(LearningRates, [0.1, rate]) == (1,)


@pytest.mark.parametrize("seed", [-1, 2**32, 0])
def test_what_is_no_seed_or_there_already_is_found_at_its_position(seed):
    assert TypeAdapter(Seeds).validate_python([0, 2**32 - 1]) == [0, 2**32 - 1]
    assert _location(Seeds, [0, seed]) == (1,)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("randomness.seed", 1),
        ("randomness", {"seed": 1}),
        ("work_dir", "x"),
        ("launcher", "pytorch"),
        ("resume", True),
        ("model.depth", float("nan")),
        ("model.depth", {1, 2}),
    ],
)
def test_what_belongs_to_the_benchmark_or_cannot_be_kept_is_found_at_its_key(key, value):
    assert _location(CfgOptions, {"a": 1, key: value}) == (key,)
    assert TypeAdapter(CfgOptions).validate_python({"randomness.diff_rank_seed": True})


def test_a_link_of_another_form_is_found_at_its_key():
    assert TypeAdapter(Links).validate_python({"a": "0.1 * lr"}) == {"a": "0.1 * lr"}
    assert _location(Links, {"a": "0.1 * lr", "b": "lr"}) == ("b",)
