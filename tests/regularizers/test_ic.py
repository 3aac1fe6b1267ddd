"""The arm ``ic``: its option. What changes of a recipe, and what is refused: test_ws.py, for both."""

from __future__ import annotations

import pytest

from wrs_mm.errors import OptionError
from wrs_mm.regularizers.ic import ic

RECIPE = {"model": {"type": "RetinaNet"}}


def test_its_share_is_said_with_the_sources_default() -> None:
    assert ic(RECIPE) == {"model": {"type": "IndependentComponents", "of": "RetinaNet", "p": 0.05}}
    assert ic(RECIPE, p=0)["model"]["p"] == 0


@pytest.mark.parametrize("p", [1, -0.1, "0.1", None, True, float("nan")])
def test_a_share_is_a_number_from_0_to_below_1(p: object) -> None:
    with pytest.raises(OptionError, match="ic: p must be a number from 0 to below 1"):
        ic(RECIPE, p=p)
