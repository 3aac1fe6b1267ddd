"""Where the backbones of a plan's runs come from: random weights, a checkpoint, or trainings of the plan.

Each recipe is trained from each of them; ``mini/pspnet from wd`` is then a recipe like any other, within
which arms are tuned and compared. A pretraining is an ordinary run, of a plan within the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ConfigDict, Field, field_validator, model_validator

from wrs_mm.bench.plan.entries import Entry, Optimizer, Optimizers, Recipe, Regularizer, Regularizers
from wrs_mm.bench.plan.fields import AnySeeds
from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.bench.plan.spec import SCRATCH, arm_label, short_name

if TYPE_CHECKING:
    from wrs_mm.bench.plan.plan import Plan

KEY = "pretraining"
"""Where a plan has it."""

_NONE = "none"
"""What a plan writes for random weights."""


class Pretraining(Entry):
    """An entry of a plan's ``pretraining``: one start, or one for each arm of a pretraining.

    Attributes:
        name: What tables call it; a pretraining's arms are called by their own names.
        checkpoint: A file or an address of backbone weights; None for random ones and for a pretraining.
        recipe: The pretraining's recipe; of several, a run takes the first whose backbone is its own.
        regularizers: The arms that it is trained with.
        optimizers: The optimizers that it is trained with; ``recipe`` for the recipe's own.
        seeds: Of its runs. Empty: the seed of each run is that of the pretraining that it starts from, and
            trials start from that of the first final run.
    """

    model_config = ConfigDict(strict=True)

    name: str | None = Field(min_length=1, default=None)
    checkpoint: str | None = Field(min_length=1, default=None)
    recipe: list[Recipe] = Field(min_length=1, default=[])
    regularizers: Regularizers = Field(min_length=1, default=[])
    optimizers: Optimizers = Field(min_length=1, default=[Optimizer(name=RECIPE)])
    seeds: AnySeeds = Field(default=[])

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        if value is None or value == _NONE:
            return {"name": SCRATCH}
        if isinstance(value, str):
            return {"checkpoint": value}
        if not isinstance(value, Mapping):
            raise Mistake(
                f"write {_NONE}, a checkpoint, or a mapping with recipe and regularizers, not {value!r}"
            )
        if ("recipe" in value) == ("checkpoint" in value):
            raise Mistake("write recipe, of a pretraining, or checkpoint")
        if "checkpoint" in value and value["checkpoint"] is None:
            raise Mistake(f"checkpoint says nothing; for random weights write {_NONE}", "checkpoint")
        own = {"recipe", "regularizers", "optimizers", "seeds"}
        if "checkpoint" in value:
            stray = own & set(value)
            if stray:
                raise Mistake(
                    f"{min(stray)} is for a pretraining with a recipe, not for a checkpoint", min(stray)
                )
        elif "name" in value:
            raise Mistake("the arms of a pretraining are called by their own names; remove name", "name")
        elif "regularizers" not in value:
            raise Mistake("say which regularizers it is pretrained with")
        return value

    @field_validator("recipe", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    def at(self, *location: Any) -> Pretraining:
        """Say where the plan lists it, and so what it lists itself."""
        for key in ("recipe", "regularizers", "optimizers"):
            for index, entry in enumerate(getattr(self, key)):
                # Below this entry's own location, where that is known.
                own = entry.location[len(self.location) + 1 :] if self.location else entry.location
                entry.at(*location, key, *(own or (index,)))
        return super().at(*location)

    def check(self, folder: Path) -> None:
        """Check its recipes, arms and optimizers."""
        for entry in (*self.recipe, *self.regularizers, *self.optimizers):
            entry.check(folder)
        rates = [(recipe, recipe.learning_rates) for recipe in self.recipe]
        for one, several in [*rates, *((one, one.own_rates() or []) for one in self.optimizers)]:
            if len(several) > 1:
                raise Mistake("a pretraining has one learning rate; list it once for each", *one.location)

    @property
    def label(self) -> str:
        """What tables call a start that is no pretraining."""
        return self.name or PurePosixPath(str(self.checkpoint).rpartition("://")[2]).stem

    def plan(self, plan: Plan) -> Plan:
        """Its runs as a plan of their own, which says of them what the plan says of its."""
        arms = [(entry.name, options) for entry in self.regularizers for options in entry.arms()]
        same = [(name, options) for name, options in arms if name == plan.baseline.name]
        name, options = (same or arms)[0]
        return plan.model_copy(
            update={
                "recipes": self.recipe,
                "regularizers": self.regularizers,
                "optimizers": self.optimizers,
                "learning_rates": [None],
                "seeds": self.seeds or plan.seeds,
                "cfg_options": {},
                "links": {},
                "split": "tune",
                "baseline": Regularizer(name=name, options=options),
                "tuning": None,
                "dynamics": None,
                "pretraining": [],
            }
        )


class Origin(NamedTuple):
    """A start as a plan has it, for any recipe and seed.

    Attributes:
        name: What tells it from the others.
        label: What tables call it; pretrainings that differ in nothing but their seed share it.
        entry: The entry that it is of.
        arm: Of a pretraining, the name of its regularizer, its options, and its optimizer.
        seed: Of a pretraining, the one seed that all runs start from; None where each run's own holds.
    """

    name: str
    label: str
    entry: Pretraining
    arm: tuple[str, dict[str, Any], Optimizer] | None = None
    seed: int | None = None


def origins(listed: list[Pretraining]) -> list[Origin]:
    """The starts that entries stand for, in their order.

    Args:
        listed: A plan's entries.

    Raises:
        Mistake: Two would be called the same.
    """
    found: list[Origin] = []
    for entry in listed:
        for origin in _of_pretraining(entry) if entry.recipe else [Origin(entry.label, entry.label, entry)]:
            if any(_same_name(origin, other) for other in found):
                raise Mistake(
                    f"two starts would be called {origin.label}; keep one, or give a checkpoint a name",
                    *entry.location,
                )
            found.append(origin)
    return found


def _same_name(one: Origin, other: Origin) -> bool:
    """Whether tables could not tell two starts apart; seeds of one pretraining share a row."""
    return one.name == other.name or (one.label == other.label and one.entry is not other.entry)


def _of_pretraining(entry: Pretraining) -> list[Origin]:
    found = []
    for regularizer in entry.regularizers:
        for options in regularizer.arms():
            for optimizer in entry.optimizers:
                label = arm_label(short_name(regularizer.name), options)
                if len(entry.optimizers) > 1:
                    label = f"{label} {arm_label(optimizer.name, optimizer.other_options())}"
                arm = (regularizer.name, options, optimizer)
                if len(entry.seeds) < 2:
                    found.append(Origin(label, label, entry, arm, entry.seeds[0] if entry.seeds else None))
                else:
                    found += [Origin(f"{label} seed {seed}", label, entry, arm, seed) for seed in entry.seeds]
    return found
