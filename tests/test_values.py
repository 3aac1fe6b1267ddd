"""Plain values, and how a message names them."""

from __future__ import annotations

import math

import pytest

from wrs_mm.values import did_you_mean, error_line, is_number, is_whole_number, one_line, several, type_name


@pytest.mark.parametrize("value", [0, -3, 0.5, 1e300])
def test_numbers_are_real_and_finite(value: float) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [True, False, math.nan, math.inf, "1", None, 1j, [1]])
def test_a_bool_is_no_number_and_neither_is_what_no_plan_can_mean(value: object) -> None:
    assert not is_number(value)


def test_whole_numbers_are_ints() -> None:
    assert [is_whole_number(value) for value in (0, -1, True, 1.0, "1")] == [True, True, False, False, False]


@pytest.mark.parametrize("kind", ["SGD", "torch.optim.SGD", type("SGD", (), {})])
def test_a_type_is_named_as_its_class_is(kind: object) -> None:
    assert type_name(kind) == "SGD"


def test_what_is_said_of_an_error_is_one_line() -> None:
    assert one_line(" a\n\n b\tc ") == "a b c"
    assert error_line(ValueError("two\nlines")) == "ValueError: two lines"
    assert error_line(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_one_has_no_plural_ending() -> None:
    assert [several(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_a_close_word_is_offered_and_no_other() -> None:
    assert did_you_mean("momentun", {"momentum", "lr"}) == "; did you mean momentum?"
    assert did_you_mean("momentun", ["lr"]) == ""
    assert did_you_mean("x", []) == ""
