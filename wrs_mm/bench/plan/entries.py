"""What a plan lists: recipes, regularizers and optimizers, each a bare name or a name with options.

An entry knows where the plan lists it and checks itself. A new key of the plan is a field of
:class:`wrs_mm.bench.plan.plan.Plan` and, where it names things, an entry class here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from wrs_mm import regularizers
from wrs_mm.bench.plan import optimizers
from wrs_mm.bench.plan.fields import CfgOptions, LearningRates, Links, check_learning_rates
from wrs_mm.bench.plan.mistakes import Location, Mistake, located
from wrs_mm.bench.plan.recipes import find_recipe


class Entry(BaseModel):
    """Something that a plan lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    _location: Location = PrivateAttr(default=())

    @property
    def location(self) -> Location:
        """Where the plan lists it."""
        return self._location

    def at(self, *location: Any) -> Self:
        """Say where the plan lists it."""
        self._location = location
        return self

    def check(self, folder: Path) -> None:
        """Check that what it names exists.

        Args:
            folder: Where relative paths start.

        Raises:
            Mistake: It does not.
        """


class Recipe(Entry):
    """A recipe as a plan lists it.

    Attributes:
        config: A name under ``configs/``, a path relative to the plan, ``mmdet::…``, ``mmseg::…`` or
            ``wrs_mm::…``.
        name: What folders and tables call it; the config's name unless said otherwise.
        cfg_options: Values of this recipe's config to override; they come after the plan's.
        links: Config keys of this recipe that follow others, beside the plan's.
        learning_rates: In place of the plan's; empty for those.
    """

    model_config = ConfigDict(strict=True)

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

    def check(self, folder: Path) -> None:
        """Check that there is such a config."""
        with located(*self.location):
            find_recipe(self.config, folder)


class _NamedEntry(Entry):
    """A regularizer or an optimizer.

    Attributes:
        name: Its name.
        options: Its options as the plan has them.
    """

    kind: ClassVar[str]
    """What it is, with its article."""

    name: str
    options: dict[str, Any] = {}

    @classmethod
    def parse(cls, name: Any, options: Any, *location: Any) -> Self:
        """One entry: a bare name (options None), or a name with ``{option: value}``.

        Args:
            name: The name.
            options: Its options.
            *location: Where it is, within the list.

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
        return cls(name=name, options=dict(options)).at(*location)

    @classmethod
    def parse_all(cls, value: Any) -> list[Self]:
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


class Regularizer(_NamedEntry):
    """A regularizer; where an option lists values, each of them is tried.

    Beside its options it may have an ``lr`` of its own. That is a setting and no option, so that arms with
    different ones are compared with each other.
    """

    kind = "a regularizer"

    def settings(self) -> dict[str, Any]:
        """``lr``, where it has one of its own.

        Raises:
            Mistake: It is no learning rate.
        """
        if "lr" not in self.options:
            return {}
        rate = self.options["lr"]
        if isinstance(rate, list):
            where = (*self.location, "lr")
            raise Mistake(f"{self.name}.lr is one number; to try several write learning_rates", *where)
        try:
            (checked,) = check_learning_rates([rate])
        except Mistake as mistake:
            raise Mistake(f"{self.name}.lr: {mistake}", *self.location, "lr") from None
        return {} if checked is None else {"lr": checked}

    def arms(self) -> list[dict[str, Any]]:
        """Every combination of the listed option values; one empty one without options.

        Raises:
            Mistake: An option lists no value.
        """
        values = {key: value if isinstance(value, list) else [value] for key, value in self.options.items()}
        values.pop("lr", None)
        for key, listed in values.items():
            if not listed:
                raise Mistake(f"{self.name}.{key} lists no value", *self.location, key)
        return [
            dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())
        ]

    def check(self, folder: Path) -> None:
        """Check the name, every value of the options, and the learning rate."""
        if self.name not in regularizers.names() and "." not in self.name:
            known = ", ".join(regularizers.names())
            raise Mistake(
                f"regularizer {self.name!r} is not known; write one of {known}, or the import path of one of "
                "yours (package.module.function)",
                *self.location,
            )
        with located(*self.location):
            regularizers.find(self.name)
        self.settings()
        for options in self.arms():
            with located(*self.location):
                regularizers.check(self.name, **options)


class Optimizer(_NamedEntry):
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
            return check_learning_rates(rates if isinstance(rates, list) else [rates])
        except Mistake as mistake:
            where = (*self.location, "lr", *mistake.location)
            raise Mistake(f"{self.name}.lr: {mistake}", *where) from None

    def other_options(self) -> dict[str, Any]:
        """Its options without the learning rate."""
        return {key: value for key, value in self.options.items() if key != "lr"}

    def check(self, folder: Path) -> None:
        """Check the name, the names of the options, and the learning rates."""
        with located(*self.location):
            optimizers.check(self.name, self.options)
        self.own_rates()


Regularizers: TypeAlias = Annotated[list[Regularizer], BeforeValidator(Regularizer.parse_all)]
"""Listed in any of the forms that a plan may have."""

Optimizers: TypeAlias = Annotated[list[Optimizer], BeforeValidator(Optimizer.parse_all)]
"""Likewise."""
