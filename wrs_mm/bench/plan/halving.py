"""Successive halving: of an arm's trials, only the better ones are trained to their end.

A trial is looked at where its recipe validates anyway, and its schedule stays as it is. So what survives is
bit for bit the run that would have been made without halving.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wrs_mm.bench.plan.length import Length, training_length
from wrs_mm.bench.plan.mistakes import Mistake

if TYPE_CHECKING:
    from mmengine.config import Config

KEY = ("tuning", "halving")
"""Where a plan has it."""


def _check_rungs(value: list[float]) -> list[float]:
    for index, rung in enumerate(value):
        if not 0 < rung < 1:
            raise Mistake(f"{rung:g} is no part of a training: use a number between 0 and 1", index)
        if index and rung <= value[index - 1]:
            raise Mistake("rungs go up; sort them", index)
    return value


class Halving(BaseModel):
    """How trials are weeded out.

    Attributes:
        rungs: The parts of the training after which that happens.
        keep: The share of the trials that goes on after each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    rungs: Annotated[list[float], Field(min_length=1), AfterValidator(_check_rungs)]
    keep: float = Field(gt=0, lt=1)

    def survivors(self, entrants: int) -> int:
        """How many of so many trials go on."""
        return math.ceil(self.keep * entrants)


class Rung(NamedTuple):
    """A moment of a training at which trials are weeded out.

    Attributes:
        at: After how many iterations or epochs, whichever the recipe counts.
        validation: Which of its validations that is, from 0.
    """

    at: int
    validation: int


def rungs_of(config: Config, halving: Halving) -> list[Rung]:
    """The rungs of a recipe: from each part of its training on, the first validation.

    Args:
        config: A resolved config.
        halving: How trials are weeded out.

    Raises:
        Mistake: The recipe validates too rarely for that.
    """
    length, loop = training_length(config), config.get("train_cfg") or {}
    if length is None or loop.get("dynamic_intervals"):
        raise Mistake(
            "halving needs recipes that say how long they train, and validate at even intervals", *KEY
        )
    interval = int(loop.get("val_interval") or (1 if length.unit == "epoch" else 1000))
    begin = int(loop.get("val_begin") or 1)
    found: list[Rung] = []
    for index, part in enumerate(halving.rungs):
        at = math.ceil(max(part * length.count, begin) / interval - 1e-9) * interval
        if at >= length.count or (found and at == found[-1].at):
            every = Length(interval, length.unit)
            raise Mistake(
                f"a recipe of {length} that validates every {every} has no validation of its own for the "
                f"rung {part:g}; lower train_cfg.val_interval by cfg_options",
                *(*KEY, "rungs", index),
            )
        found.append(Rung(at, at // interval - math.ceil(begin / interval)))
    return found


def share_trained(halving: Halving, rungs: list[Rung], trials: int, count: int) -> int:
    """How many iterations or epochs the trials of an arm train together, if none diverges.

    Args:
        halving: How trials are weeded out.
        rungs: Those of the recipe.
        trials: How many there are.
        count: How long one trains that is not stopped.
    """
    total, before, left = 0, 0, trials
    for rung in rungs:
        total += left * (rung.at - before)
        before, left = rung.at, halving.survivors(left)
    return total + left * (count - before)
