"""A mistake of a plan knows its place, whoever finds it."""

from __future__ import annotations

import pytest

from wrs_mm.bench.plan.mistakes import Mistake, located
from wrs_mm.errors import ConfigError, OptionError


@pytest.mark.parametrize(
    ("error", "location"),
    [
        (ConfigError("wrong"), ("recipes", 1)),
        (OptionError("wrong"), ("recipes", 1)),
        (OptionError("wrong", "interval"), ("recipes", 1, "interval")),
        (Mistake("wrong", "lr", 2), ("recipes", 1, "lr", 2)),
    ],
)
def test_a_place_within_comes_after_the_place_around_it(error, location):
    with pytest.raises(Mistake, match=r"^wrong$") as caught, located("recipes", 1):
        raise error
    assert caught.value.location == location


def test_a_defect_stays_what_it_is():
    with pytest.raises(ZeroDivisionError), located("recipes"):
        _ = 1 / 0
