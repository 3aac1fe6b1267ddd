"""Every arm's card has its parts, and a row for each option of the arm with its default."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from wrs_mm.regularizers import REGULARIZERS

CARDS = Path(__file__).resolve().parents[2] / "docs" / "regularizers"


@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_card_says_what_when_and_where_from(name: str) -> None:
    text = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}: ")
    assert "Source: " in text or name in ("wd", "wrs_matched")  # the recipe's own, and ours
    headings = re.findall(r"^## (.*)$", text, re.M)
    for part in ("Use", "How it works", "Cost", "When it is the wrong tool"):
        assert part in headings, part
    assert any(heading.endswith("could not confirm") for heading in headings)


# wrs's has the options of WeightRescaler, and other_decay in words: tests/rescaling/test_options.py.
@pytest.mark.parametrize("name", [name for name in REGULARIZERS if name != "wrs"])
def test_a_card_has_a_row_for_each_option(name: str) -> None:
    text = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    table = text.partition("| option | default | means |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()]
    said = {
        option.strip("`"): None if default == "the recipe's" else ast.literal_eval(default.strip("`"))
        for option, default, *_ in rows
    }
    options = list(inspect.signature(REGULARIZERS[name]).parameters.values())[1:]
    assert said == {option.name: option.default for option in options}
