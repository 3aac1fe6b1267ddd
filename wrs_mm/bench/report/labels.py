"""Numbers, arms and scenarios as readers see them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from wrs_mm.bench.plan.spec import Scenario, arm_label, short_name
from wrs_mm.bench.statistics.over_seeds import SCENARIO
from wrs_mm.bench.statistics.results import is_missing

NONE = "–"
"""What stands where there is no number."""

CHECKPOINTS = {"last": "last checkpoint", "best": "best checkpoint"}
"""The checkpoints that are reported, each in tables of its own."""

SPLITS = {"tune": "tune (val)", "test": "test"}
"""What readers call the splits."""

AXES = {"learning_rate": "learning rate", "lr": "learning rate"}
"""What readers call an axis that is no option of an arm."""


def number(value: float, sign: bool = False) -> str:
    """Two decimals, or :data:`NONE`."""
    if math.isnan(value):
        return NONE
    return f"{value:+.2f}" if sign else f"{value:.2f}"


def bracket(low: float, high: float) -> str:
    """An interval; nothing where there is none."""
    return "" if math.isnan(low) else f"[{number(low, sign=True)}, {number(high, sign=True)}]"


def range_of(low: float, high: float) -> str:
    """An interval of values, not of differences."""
    return f"[{number(low)}, {number(high)}]"


def factor(value: float) -> str:
    """A ratio as people write it: ``0.012``, ``0.12``, ``1.20``, ``12.50``, ``125``."""
    if math.isnan(value):
        return NONE
    return f"{value:.2g}" if not 0.1 <= value < 1e5 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def factors(low: float, high: float) -> str:
    """An interval of ratios; nothing where there is none."""
    return "" if math.isnan(low) else f"[{factor(low)}, {factor(high)}]"


def plain(value: float) -> str:
    """A setting as people write it: ``0.0005`` and ``1e-05``."""
    return NONE if math.isnan(value) else f"{value:g}"


def splits(frame: pd.DataFrame) -> str:
    """What readers call the split of all rows of a frame; both, should there be both."""
    return " and ".join(name for split, name in SPLITS.items() if (frame["split"] == split).any())


def label(row: Mapping[str, Any]) -> str:
    """The arm of a row of results as people read it."""
    return arm_label(short_name(row["regularizer"]), json.loads(row["options"]))


def scenario_label(row: Mapping[str, Any]) -> str:
    """Where arms were compared: the recipe, and optimizer and learning rate where they are not its own."""
    parts = [str(row["recipe"])]
    parts += [] if row["optimizer"] == "recipe" else [str(row["optimizer"])]
    rate = row["learning_rate"]
    parts += [] if is_missing(rate) else [f"learning rate {plain(float(rate))}"]
    return " · ".join(parts)


def scenario_of(scenario: Scenario) -> str:
    """:func:`scenario_label` of a run's scenario."""
    return scenario_label(dict(zip(SCENARIO, scenario, strict=True)))
