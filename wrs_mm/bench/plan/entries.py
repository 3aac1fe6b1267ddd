"""The entries of a plan: recipes, regularizers and optimizers, each a bare name or a name with settings."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Hashable, Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from wrs_mm.bench.plan.links import Link
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.bench.plan.yaml_lines import Location, Mistake
from wrs_mm.errors import OptionError

OWNED = {"randomness.seed": "seeds", "work_dir": "--work-dir", "launcher": "--gpus-per-run", "resume": ""}
"""Settings that belong to the harness, and what sets them."""


def _check_learning_rates(value: Any) -> list[float | None]:
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
        number = isinstance(entry, (int, float)) and not isinstance(entry, bool)
        if entry not in (RECIPE, None) and not (number and math.isfinite(entry) and entry > 0):
            raise Mistake(f"{entry!r} is no learning rate: write a positive number, or {RECIPE}", index)
        rate = float(entry) if number else None
        if rate in rates:
            raise Mistake(f"{entry} is listed twice", index)
        rates.append(rate)
    return rates


def _check_cfg_options(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check settings that override a config's.

    Raises:
        Mistake: One belongs to the harness, or is of a kind that cannot be kept.
    """
    for key, setting in value.items():
        for owned, owner in OWNED.items():
            if key == owned or key.startswith(f"{owned}."):
                use = f"use {owner}" if owner else "leave it out"
                raise Mistake(f"{key} belongs to the benchmark: {use}", key)
        if key == "randomness" and isinstance(setting, Mapping) and "seed" in setting:
            raise Mistake("randomness.seed belongs to the benchmark: use seeds", key)
        try:
            json.dumps(setting, allow_nan=False)
        except (TypeError, ValueError):
            raise Mistake(f"{key} must be made of finite numbers, text, lists and mappings", key) from None
    return value


def _check_links(value: Mapping[str, str]) -> Mapping[str, str]:
    """Check settings that follow others.

    Raises:
        Mistake: One has another form than ``FACTOR * SETTING``.
    """
    for key, text in value.items():
        try:
            Link.parse(key, text)
        except OptionError as error:
            raise Mistake(str(error), key) from None
    return value


def no_duplicates(value: list[Hashable]) -> list[Hashable]:
    """Check that nothing is listed twice.

    Raises:
        Mistake: Something is.
    """
    for index, entry in enumerate(value):
        if entry in value[:index]:
            raise Mistake(f"{entry} is listed twice", index)
    return value


LearningRates: TypeAlias = Annotated[list[float | None], BeforeValidator(_check_learning_rates)]
"""Learning rates to try; None is the recipe's."""

CfgOptions: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_cfg_options)]
"""Settings of a config to override, by dotted key."""

Links: TypeAlias = Annotated[dict[str, str], AfterValidator(_check_links)]
"""Settings that follow others, see :mod:`wrs_mm.bench.plan.links`."""


class Recipe(BaseModel):
    """A recipe as a plan lists it.

    Attributes:
        config: A name under ``configs/``, a path relative to the plan, ``mmdet::…`` or ``mmseg::…``.
        name: What folders and tables call it; the config's name unless said otherwise.
        cfg_options: Settings of this recipe to override; they come after the plan's.
        links: Settings of this recipe that follow others, beside the plan's.
        learning_rates: In place of the plan's; empty for those.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    config: str = Field(min_length=1)
    name: str = Field(min_length=1)
    cfg_options: CfgOptions = {}
    links: Links = {}
    learning_rates: LearningRates = []

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"config": value, "name": value}
        if not isinstance(value, Mapping):
            raise Mistake(f"write the name of a config, or a mapping with config, not {value!r}")
        return {"name": value["config"], **value} if "config" in value else value


class Entry(BaseModel):
    """A regularizer or an optimizer: its name and options, and where the plan lists it.

    Attributes:
        name: Its name.
        options: Its options as the plan has them.
        location: Where the plan lists it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ClassVar[str]
    """What it is, with its article."""

    name: str
    options: dict[str, Any] = {}
    location: Location = Field(default=(), exclude=True, repr=False)

    @classmethod
    def parse(cls, name: Any, options: Any, *location: Any) -> Any:
        """One entry: a bare name (options None), or a name with ``{option: value}``.

        Raises:
            Mistake: It has another form.
        """
        if not isinstance(name, str):
            raise Mistake(f"{name!r} is not the name of {cls.kind}", *location)
        if options is None:
            options = {}
        if not isinstance(options, Mapping):
            raise Mistake(f"write the options of {name} as {{option: value}}, not {options!r}", *location)
        for key in options:
            if not isinstance(key, str):
                raise Mistake(f"{name}: {key!r} is not the name of an option", *location, key)
        return cls(name=name, options=dict(options), location=location)

    @classmethod
    def parse_all(cls, value: Any) -> list[Any]:
        """A list of names and of names with options, or a mapping of names to options.

        Raises:
            Mistake: It has another form.
        """
        if isinstance(value, Mapping):
            return [cls.parse(name, options, name) for name, options in value.items()]
        if not isinstance(value, list):
            raise Mistake(f"write a list, not {value!r}")
        listed = []
        for index, entry in enumerate(value):
            if isinstance(entry, Mapping):
                listed += [cls.parse(name, options, index, name) for name, options in entry.items()]
            else:
                listed.append(cls.parse(entry, None, index))
        return listed


class Regularizer(Entry):
    """A regularizer; where an option lists values, each of them is tried."""

    kind = "a regularizer"

    def arms(self) -> list[dict[str, Any]]:
        """Every combination of the listed option values; one empty one without options.

        Raises:
            Mistake: An option lists no value.
        """
        values = {key: value if isinstance(value, list) else [value] for key, value in self.options.items()}
        for key, listed in values.items():
            if not listed:
                raise Mistake(f"{self.name}.{key} lists no value", *self.location, key)
        names = list(values)
        return [
            dict(zip(names, combination, strict=True)) for combination in itertools.product(*values.values())
        ]


class Optimizer(Entry):
    """An optimizer. Only its ``lr`` may list values to try: others, as ``betas``, are lists themselves."""

    kind = "an optimizer"

    def own_rates(self) -> list[float | None] | None:
        """Its own learning rates; None where the plan's hold.

        Raises:
            Mistake: One is no learning rate.
        """
        if "lr" not in self.options:
            return None
        rates = self.options["lr"]
        try:
            return _check_learning_rates(rates if isinstance(rates, list) else [rates])
        except Mistake as error:
            where = (*self.location, "lr", *error.location)
            raise Mistake(f"{self.name}.lr: {error}", *where) from None

    def other_options(self) -> dict[str, Any]:
        """Its options without the learning rate."""
        return {key: value for key, value in self.options.items() if key != "lr"}
