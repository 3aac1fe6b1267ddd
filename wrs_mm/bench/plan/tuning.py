"""Tuning as a part of a plan: how many trials each arm gets, where they look, and with which seeds.

The model is AlgoPerf's external tuning: a declared space for each arm, and the same number of quasi-random
trials for all of them, whatever an arm has to tune.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from wrs_mm import regularizers
from wrs_mm.bench.plan.entries import Regularizer
from wrs_mm.bench.plan.fields import Seeds
from wrs_mm.bench.plan.halving import Halving
from wrs_mm.bench.plan.mistakes import Location, Mistake, located
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.bench.plan.search import LR, MOST_SETTINGS, Space, Values, parse_values, points
from wrs_mm.values import did_you_mean

KEY = ("tuning", "search")
"""Where a plan has the search."""

_OF_OPTIMIZERS = ("tuning", "optimizers")
"""Where it has what differs from that for an optimizer."""


def _parse_search(content: Any) -> dict[str, Any]:
    """The value of ``search``: of ``lr`` what all arms may take, of a regularizer's name its own settings.

    Raises:
        Mistake: It has another form.
    """
    if not isinstance(content, Mapping) or not content:
        raise Mistake(f"write {{lr: [low, high], wd: {{weight_decay: [low, high]}}}}, not {content!r}")
    return {name: _parse_entry(name, values) for name, values in content.items()}


def _parse_entry(name: Any, content: Any) -> Values | dict[str, Values]:
    if name == LR:
        with located(LR):
            return parse_values(content)
    if content is None:
        return {}
    if not isinstance(name, str) or not isinstance(content, Mapping):
        raise Mistake(f"write the settings of {name} as {{option: [low, high]}}, not {content!r}", name)
    found = {}
    for option, values in content.items():
        with located(name, option):
            found[option] = parse_values(values)
    own = len(found) - (LR in found)
    if own >= MOST_SETTINGS:
        raise Mistake(f"{name} has {own} settings of its own; {MOST_SETTINGS - 1} are the most", name)
    return found


Search: TypeAlias = Annotated[dict[str, Any], PlainValidator(_parse_search)]
"""Where to look: ``lr`` for all arms, and by regularizer what is its own."""


def _parse_searches(content: Any) -> dict[str, Any]:
    """The value of ``optimizers``: a search by optimizer.

    Raises:
        Mistake: It has another form.
    """
    if not isinstance(content, Mapping):
        raise Mistake(f"write {{adam: {{lr: [low, high]}}}}, not {content!r}")
    found = {}
    for name, search in content.items():
        with located(name):
            found[name] = _parse_search(search)
    return found


_Searches: TypeAlias = Annotated[dict[str, Any], PlainValidator(_parse_searches)]


class Tuning(BaseModel):
    """Of a plan, how its arms are tuned.

    Attributes:
        trials: For each arm on each recipe.
        search: Where they look.
        optimizers: Where they look instead with an optimizer, by its name: what suits one learning rate or
            weight decay need not suit another's.
        seeds: Of the trials; a trial's score is the mean over them.
        halving: How trials are weeded out on the way; None where all are trained to their end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    trials: int = Field(ge=1)
    search: Search
    optimizers: _Searches = {}
    seeds: Seeds
    halving: Halving | None = None

    def space(
        self, regularizer: str, fixed: Collection[str] = (), optimizer: str = RECIPE
    ) -> dict[str, Values]:
        """The values of each setting that an arm is tuned in; empty where there is nothing to tune.

        Args:
            regularizer: The arm's.
            fixed: The settings that the plan gives the arm: what is looked for in all arms is not in it.
            optimizer: What it trains with. What is said for that optimizer holds, and of it what is said for
                the regularizer; a setting keeps its coordinate.
        """
        space: dict[str, Values] = {}
        for search in (self.search, self.optimizers.get(optimizer, {})):
            general: Space = {LR: search[LR]} if LR in search and LR not in fixed else {}
            own: Space = search.get(regularizer, {})
            space = {**space, **general, **own}
        return space

    def key(self, regularizer: str, setting: str, optimizer: str = RECIPE) -> str:
        """The key of the plan that says which values a setting of an arm may take."""
        return ".".join(self._where(regularizer, setting, optimizer))

    def _where(self, regularizer: str, setting: str, optimizer: str) -> tuple[str, ...]:
        """Where the plan says which values a setting of an arm may take."""
        for search, place in (
            (self.optimizers.get(optimizer, {}), (*_OF_OPTIMIZERS, optimizer)),
            (self.search, KEY),
        ):
            if setting in search.get(regularizer, {}):
                return (*place, regularizer, setting)
            if setting == LR and LR in search:
                return (*place, LR)
        return (*KEY, setting)

    def check(self, listed: Sequence[Regularizer], seeds: Sequence[int], optimizers: Sequence[str]) -> None:
        """Check what must hold between it and the rest of a plan.

        Args:
            listed: The plan's regularizers.
            seeds: The plan's seeds.
            optimizers: The names of the plan's optimizers.

        Raises:
            Mistake: It names what the plan does not list, or its trials would not be what they should.
        """
        for index, seed in enumerate(self.seeds):
            if seed in seeds:
                raise Mistake(
                    f"{seed} is also a seed of the final runs; give trials seeds of their own, for "
                    "example [100]",
                    *("tuning", "seeds", index),
                )
        _check_names(self.optimizers, list(dict.fromkeys(optimizers)), "optimizers", _OF_OPTIMIZERS)
        names = [LR, *dict.fromkeys(entry.name for entry in listed)]
        _check_names(self.search, names, "regularizers", KEY)
        for optimizer, search in self.optimizers.items():
            _check_names(search, names, "regularizers", (*_OF_OPTIMIZERS, optimizer))
        spaces = [self.space(e.name, e.settings(), optimizer) for e in listed for optimizer in optimizers]
        if not any(spaces):
            raise Mistake("there is nothing to look for; give lr or an option a range", *KEY)
        for entry in listed:
            # Those of which the plan says nothing look in the same places.
            for optimizer in dict.fromkeys(name if name in self.optimizers else "" for name in optimizers):
                self._check_entry(entry, optimizer)

    def _check_entry(self, entry: Regularizer, optimizer: str) -> None:
        """Check where the arms of a listed regularizer are tuned, and each of their trials."""
        space = self.space(entry.name, entry.settings(), optimizer)
        where: Location = (*KEY, entry.name) if entry.name in self.search else (*KEY, LR)
        if entry.name in self.optimizers.get(optimizer, {}):
            where = (*_OF_OPTIMIZERS, optimizer, entry.name)
        for name in space:
            if name in entry.options:
                raise Mistake(
                    f"{name} of {entry.name} is looked for, and regularizers says {entry.options[name]!r}; "
                    "remove one of both",
                    *self._where(entry.name, name, optimizer),
                )
        own = {name: values for name, values in space.items() if name != LR}
        if len(own) >= MOST_SETTINGS:
            raise Mistake(
                f"{entry.name} has {len(own)} settings of its own; {MOST_SETTINGS - 1} are the most", *where
            )
        tried = points(space, self.trials) if space else []
        # The ends first: a mistake in them is what the plan says.
        settings = [{name: end} for name, values in own.items() for end in values.ends]
        settings += [{name: value for name, value in point.items() if name in own} for point in tried]
        for options, chosen in itertools.product(entry.arms(), settings):
            with located(*where):
                regularizers.check(entry.name, **options, **chosen)
        for number, point in enumerate(tried):
            if point in tried[:number]:
                raise Mistake(
                    f"trials {tried.index(point)} and {number} of {entry.name} would be the same; "
                    "make fewer, or give them more values",
                    *where,
                )


def _check_names(search: Iterable[str], known: Sequence[str], what: str, where: Location) -> None:
    """Check that a search names only what the plan lists."""
    for name in search:
        if name not in known:
            hint = did_you_mean(name, known) or f"; write one of {', '.join(known)}"
            raise Mistake(f"{name!r} is not among the {what}{hint}", *where, name)
