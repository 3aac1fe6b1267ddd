"""The kinds of value that a plan's keys hold, each checked when the plan is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from wrs_mm.bench.plan.config_keys import OWNED
from wrs_mm.bench.plan.links import Link
from wrs_mm.bench.plan.mistakes import Mistake, located
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.values import is_number


def check_learning_rates(value: Any) -> list[float | None]:
    """Check a list of learning rates; ``recipe``, the recipe's own, becomes None.

    Raises:
        Mistake: An entry is no positive number, or is listed twice.
    """
    if not isinstance(value, list):
        raise Mistake(f"write a list such as [recipe, 0.01], not {value!r}")
    if not value:
        raise Mistake("lists no value")
    rates: list[float | None] = []
    for index, entry in enumerate(value):
        number = is_number(entry)
        if entry not in (RECIPE, None) and not (number and entry > 0):
            raise Mistake(f"{entry!r} is no learning rate: write a positive number, or {RECIPE}", index)
        rate = float(entry) if number else None
        if rate in rates:
            raise Mistake(f"{entry} is listed twice", index)
        rates.append(rate)
    return rates


def _check_cfg_options(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check values that override a config's.

    Raises:
        Mistake: One belongs to the harness, or is of a kind that cannot be kept.
    """
    for key, content in value.items():
        for owned, owner in OWNED.items():
            if key == owned or key.startswith(f"{owned}."):
                use = f"use {owner}" if owner else "leave it out"
                raise Mistake(f"{key} belongs to the benchmark: {use}", key)
        if key == "randomness" and isinstance(content, Mapping) and "seed" in content:
            raise Mistake("randomness.seed belongs to the benchmark: use seeds", key)
        try:
            json.dumps(content, allow_nan=False)
        except (TypeError, ValueError):
            raise Mistake(f"{key} must be made of finite numbers, text, lists and mappings", key) from None
    return value


def _check_links(value: Mapping[str, str]) -> Mapping[str, str]:
    """Check config keys that follow others.

    Raises:
        Mistake: One has another form than ``FACTOR * KEY``.
    """
    for key, text in value.items():
        with located(key):
            Link.parse(key, text)
    return value


def _check_seeds(value: list[int]) -> list[int]:
    """Check seeds.

    Raises:
        Mistake: One is listed twice, or is none that numpy takes.
    """
    for index, seed in enumerate(value):
        if seed in value[:index]:
            raise Mistake(f"{seed} is listed twice", index)
        if not 0 <= seed < 2**32:
            # pydantic's own bounds would say one of them, and not of what.
            raise Mistake(f"{seed} is not a seed: use 0 to {2**32 - 1}", index)
    return value


LearningRates: TypeAlias = Annotated[list[float | None], BeforeValidator(check_learning_rates)]
"""Learning rates to try; None is the recipe's."""

CfgOptions: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_cfg_options)]
"""Values of a config to override, by config key."""

Links: TypeAlias = Annotated[dict[str, str], AfterValidator(_check_links)]
"""Config keys that follow others, see :mod:`wrs_mm.bench.plan.links`."""

AnySeeds: TypeAlias = Annotated[list[int], AfterValidator(_check_seeds)]
"""Seeds, or none."""

Seeds: TypeAlias = Annotated[AnySeeds, Field(min_length=1)]
"""One run each."""
