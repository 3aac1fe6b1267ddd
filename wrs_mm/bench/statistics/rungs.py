"""Which trials of an arm go on after each rung: a function of what they measured there, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wrs_mm.bench.plan.halving import Halving, Rung
from wrs_mm.bench.statistics.selection import ranked

Measured: TypeAlias = "Sequence[float | None]"
"""What a trial measured at each rung: NaN where it never will, because it has diverged, None while it may."""


@dataclass
class Standing:
    """How far each trial of an arm may train.

    Attributes:
        limits: Of each trial that is still in, the iterations or epochs of the next rung; None: to its end.
        stopped: The others, and what stopped them or would, had they not diverged.
    """

    limits: dict[int, int | None] = field(default_factory=dict)
    stopped: dict[int, str] = field(default_factory=dict)


def standing(
    halving: Halving,
    rungs: Sequence[Rung],
    points: Mapping[int, Mapping[str, Any]],
    measured: Mapping[int, Measured],
) -> Standing:
    """How far each trial of an arm may train now.

    Args:
        halving: How trials are weeded out.
        rungs: Those of the recipe.
        points: The settings of each trial, by its number.
        measured: The main metric at each rung, by the trial's number.
    """
    found = Standing()
    entrants = sorted(points)
    for index, rung in enumerate(rungs):
        values = {number: measured[number][index] for number in entrants}
        if any(value is None for value in values.values()):
            # Nobody goes on before all have come so far.
            found.limits = dict.fromkeys(entrants, rung.at)
            return found
        scores = {n: value for n, value in values.items() if value is not None and not math.isnan(value)}
        order = ranked(scores, points)
        survivors = order[: halving.survivors(len(entrants))]
        for number in entrants:
            if number not in survivors:
                # One of several seeds may have diverged, and the others of that trial go no further.
                place = (
                    f"number {order.index(number) + 1} of {len(entrants)}" if number in scores else "diverged"
                )
                found.stopped[number] = f"stopped at {rung.at}: {place}"
        entrants = sorted(survivors)
    found.limits = dict.fromkeys(entrants)
    return found
