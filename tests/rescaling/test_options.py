"""One list of options: checked once, saved, and written in every document as it is."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn, optim

from wrs_mm.errors import OptionError
from wrs_mm.regularizers.none import none
from wrs_mm.regularizers.wd import wd
from wrs_mm.regularizers.wrs import wrs
from wrs_mm.regularizers.wrs_matched import wrs_matched
from wrs_mm.rescaling import RescaleOptions, ScaleInvariantDecay, ScaleInvariantWeights, WeightRescaler
from wrs_mm.rescaling.options import LAYOUT, SELECTION, check_same_run

ROOT = Path(__file__).resolve().parents[2]
DEFAULTS = {field.name: field.default for field in dataclasses.fields(RescaleOptions)}
OTHERS: dict[str, Any] = {
    "granularity": "layer",
    "target": "init",
    "target_schedule": "decay",
    "interval": 2,
    "frozen_bn": "fold",
    "min_norm": 0,
}


def documented() -> dict[str, str]:
    """What the docstring says of each option, in one line."""
    text = inspect.getdoc(RescaleOptions) or ""
    part = text.partition("Attributes:\n")[2].partition("\n\nRaises:")[0]
    entries = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", part, re.M | re.S)
    return {name: " ".join(words.split()) for name, words in entries}


@pytest.mark.parametrize(
    ("name", "value"),
    [("granularity", "channel"), ("target", "one"), ("target", 0), ("target", -1.0), ("target", float("nan")),
     ("target", True), ("target", None), ("target", [1]), ("interval", 0), ("interval", 1.5),
     ("target_schedule", "growth"), ("target_schedule", None), ("interval", True),
     ("frozen_bn", "keep"), ("min_norm", 2), ("min_norm", -1e-9), ("min_norm", "0")],
)  # fmt: skip
def test_values_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{name} must be ") as error:
        RescaleOptions(**{name: value})
    assert repr(value) in str(error.value)


def test_a_dict_of_options_is_taken_by_name() -> None:
    assert RescaleOptions.from_dict({}, "wrs") == RescaleOptions()
    assert dataclasses.asdict(RescaleOptions.from_dict(OTHERS, "wrs")) == OTHERS
    with pytest.raises(OptionError, match="wrs must be a dict of options, not 'filter'"):
        RescaleOptions.from_dict("filter", "wrs")
    with pytest.raises(
        OptionError, match="wrs has no option 'decay_mult'; its options are granularity, target"
    ):
        RescaleOptions.from_dict({"decay_mult": 0}, "wrs")
    with pytest.raises(OptionError, match=r"its options are granularity, frozen_bn$"):
        RescaleOptions.from_dict({"target": 1}, "scale_invariance", SELECTION)


def test_only_what_is_not_default_is_a_change() -> None:
    assert RescaleOptions().changes() == {}
    assert RescaleOptions(target=1.0, interval=1).changes() == {"target": 1.0}
    assert RescaleOptions(**OTHERS).changes() == OTHERS


def test_a_resumed_run_shares_every_option() -> None:
    own = {**DEFAULTS, "decay_mult": 0.0}
    check_same_run({"layout": LAYOUT, "options": own}, own)
    for name, value in {**OTHERS, "decay_mult": 1.0}.items():
        state = {"layout": LAYOUT, "options": {**own, name: value}}
        with pytest.raises(OptionError, match=f"{name}={value!r}, this run has {own[name]!r}"):
            check_same_run(state, own)


@pytest.mark.parametrize("state", [{}, {"options": DEFAULTS}, {"layout": 1, "options": DEFAULTS}])
def test_another_layout_is_told_and_no_key_error(state: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="another version of wrs-mm"):
        check_same_run(state, DEFAULTS)


# -- who lists them -----------------------------------------------------------------------------------


def test_the_rescaler_takes_and_saves_them() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-4)
    rescaler = WeightRescaler(model, optimizer, **OTHERS)
    assert rescaler.options == RescaleOptions(**OTHERS)
    assert rescaler.state_dict()["options"] == {**OTHERS, "decay_mult": 1.0}
    with pytest.raises(OptionError, match="WeightRescaler has no option 'granularty'"):
        WeightRescaler(model, optim.SGD(model.parameters(), lr=0.1), granularty="filter")


def test_the_arm_takes_them_with_the_same_defaults() -> None:
    parameters = inspect.signature(wrs).parameters
    own = {name: p.default for name, p in parameters.items() if name not in ("optim_wrapper", "other_decay")}
    assert list(own.items()) == list(DEFAULTS.items())


def test_the_arm_wrs_matched_takes_them_in_the_same_order_and_starts_and_moves_otherwise() -> None:
    parameters = inspect.signature(wrs_matched).parameters
    shared = {name: p.default for name, p in parameters.items() if name in DEFAULTS}
    assert list(shared) == list(DEFAULTS)
    assert {name for name, value in shared.items() if value != DEFAULTS[name]} == {
        "target",
        "target_schedule",
    }


@pytest.mark.parametrize("takes_some", [none, wd, ScaleInvariantWeights, ScaleInvariantDecay])
def test_who_takes_some_of_them_has_the_same_defaults(takes_some: Callable) -> None:
    parameters = inspect.signature(takes_some).parameters
    shared = parameters.keys() & DEFAULTS.keys()
    assert "frozen_bn" in shared
    assert {name: parameters[name].default for name in shared} == {name: DEFAULTS[name] for name in shared}


def test_the_page_of_the_arm_has_a_row_for_each() -> None:
    text = (ROOT / "docs" / "regularizers" / "wrs.md").read_text(encoding="utf-8")
    table = text.partition("## Options")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [tuple(cell.strip() for cell in row.strip("| ").split(" | ")) for row in table.splitlines()]
    assert [(name.strip("`"), ast.literal_eval(default.strip("`"))) for name, default, _ in rows] == list(
        DEFAULTS.items()
    )
    meanings = documented()
    assert list(meanings) == list(DEFAULTS)
    for name, _, means in rows:
        assert means == meanings[name.strip("`")].replace("``", "`")


def test_what_documents_show_of_them_is_right() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = [
        {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        for document in documents
        for inside in re.findall(r"wrs=dict\(([^)…]*)\)", document.read_text(encoding="utf-8"))
        if isinstance(call := ast.parse(f"dict({inside})", mode="eval").body, ast.Call)
    ]
    assert {"frozen_bn": "fold", "target": "init"} in shown
    for options in shown:
        # What a recipe's key ``regularizers`` may say of an arm beside them.
        options.pop("lr", None)
        RescaleOptions.from_dict(options, "wrs")
