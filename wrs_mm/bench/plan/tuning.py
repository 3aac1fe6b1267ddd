"""Tuning as a part of a plan: how many trials each arm gets, where they look, and with which seeds.

The model is AlgoPerf's external tuning: a declared space for each arm, and the same number of quasi-random
trials for all of them, whatever an arm has to tune.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from wrs_mm import regularizers
from wrs_mm.bench.plan.entries import Regularizer
from wrs_mm.bench.plan.fields import Seeds
from wrs_mm.bench.plan.halving import Halving
from wrs_mm.bench.plan.mistakes import Mistake, located
from wrs_mm.bench.plan.search import LR, MOST_SETTINGS, Space, Values, parse_values, points
from wrs_mm.values import did_you_mean

KEY = ("tuning", "search")
"""Where a plan has the search."""


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


class Tuning(BaseModel):
    """Of a plan, how its arms are tuned.

    Attributes:
        trials: For each arm on each recipe.
        search: Where they look.
        seeds: Of the trials; a trial's score is the mean over them.
        halving: How trials are weeded out on the way; None where all are trained to their end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    trials: int = Field(ge=1)
    search: Search
    seeds: Seeds
    halving: Halving | None = None

    def space(self, regularizer: str, fixed: Collection[str] = ()) -> dict[str, Values]:
        """The values of each setting that an arm is tuned in; empty where there is nothing to tune.

        Args:
            regularizer: The arm's.
            fixed: The settings that the plan gives the arm: what is looked for in all arms is not in it.
        """
        general: Space = {LR: self.search[LR]} if LR in self.search and LR not in fixed else {}
        own: Space = self.search.get(regularizer, {})
        return {**general, **own}

    def key(self, regularizer: str, setting: str) -> str:
        """The key of the plan that says which values a setting of an arm may take."""
        own = setting in self.search.get(regularizer, {})
        return ".".join([*KEY, *([regularizer] if own else []), setting])

    def check(self, listed: Sequence[Regularizer], seeds: Sequence[int]) -> None:
        """Check what must hold between it and the rest of a plan.

        Args:
            listed: The plan's regularizers.
            seeds: The plan's seeds.

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
        names = list(dict.fromkeys(entry.name for entry in listed))
        for name in self.search:
            if name != LR and name not in names:
                known = [LR, *names]
                hint = did_you_mean(name, known) or f"; write one of {', '.join(known)}"
                raise Mistake(f"{name!r} is not among the regularizers{hint}", *KEY, name)
        if not any(self.space(entry.name, entry.settings()) for entry in listed):
            raise Mistake("there is nothing to look for; give lr or an option a range", *KEY)
        for entry in listed:
            self._check_entry(entry)

    def _check_entry(self, entry: Regularizer) -> None:
        """Check where the arms of a listed regularizer are tuned, and each of their trials."""
        space = self.space(entry.name, entry.settings())
        where = (*KEY, entry.name) if entry.name in self.search else (*KEY, LR)
        for name in space:
            if name in entry.options:
                raise Mistake(
                    f"{name} of {entry.name} is looked for, and regularizers says {entry.options[name]!r}; "
                    "remove one of both",
                    *where,
                    name,
                )
        own = {name: values for name, values in space.items() if name != LR}
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
