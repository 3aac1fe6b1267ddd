"""Where tuning looks: the values that a setting may take, and the points at which trials are made.

The points are quasi-random: the first so many of one scrambled Sobol sequence, always the same. A setting is
a coordinate of it, ``lr`` the first, an arm's own ones those that follow. So arms whose search is the same in
a setting are tried at the same values of it, and neither another arm, nor another setting below the ones that
are there, nor a longer search moves a point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.values import is_number

LR = "lr"
"""The setting that every arm has."""

MOST_SETTINGS = 8
"""Coordinates of the sequence. Their number is fixed because scrambling depends on it."""

BORDER = 0.05
"""A value in the outermost twentieth of a range, on its scale, lies at the border."""

_DIGITS = 3
"""Significant digits of a value: it is part of a folder's name."""

_SCRAMBLE = 0
"""Seed of the sequence."""


@dataclass(frozen=True)
class Range:
    """All numbers between two.

    Attributes:
        low: The smallest.
        high: The largest.
        scale: ``log`` or ``linear``: on which scale all of them are equally likely.

    Raises:
        Mistake: There are no numbers between them on that scale.
    """

    low: float
    high: float
    scale: str = "log"

    def __post_init__(self) -> None:
        if self.scale not in ("log", "linear"):
            raise Mistake(f"a scale is log or linear, not {self.scale!r}", "scale")
        if not self.low < self.high:
            raise Mistake(
                f"a range goes from a number to a larger one, not from {self.low:g} to {self.high:g}"
            )
        if self.scale == "log" and self.low <= 0:
            raise Mistake(
                f"a range on a logarithmic scale begins above 0, not at {self.low:g}; write "
                f"{{low: {self.low:g}, high: {self.high:g}, scale: linear}}"
            )

    def value(self, share: float) -> float:
        """The number below which this share of the range lies, to three significant digits."""
        low, high = self._place(self.low), self._place(self.high)
        at = low + share * (high - low)
        rounded = float(f"{math.exp(at) if self.scale == 'log' else at:.{_DIGITS}g}")
        return min(max(rounded, self.low), self.high)

    def share(self, value: float) -> float:
        """Which share of the range lies below a number in it."""
        low, high = self._place(self.low), self._place(self.high)
        return (self._place(value) - low) / (high - low)

    def _place(self, value: float) -> float:
        return math.log(value) if self.scale == "log" else value

    def at_border(self, value: Any) -> bool:
        """Whether a number lies so near an end that a better one may lie beyond it."""
        return not BORDER <= self.share(value) <= 1 - BORDER

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that say whether it is possible at all."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, {self.scale}"


@dataclass(frozen=True)
class Choices:
    """Some values, all equally likely.

    Attributes:
        choices: The values.

    Raises:
        Mistake: One is listed twice, or there are none.
    """

    choices: list[Any]

    def __post_init__(self) -> None:
        if not self.choices:
            raise Mistake("lists no value", "choices")
        for index, choice in enumerate(self.choices):
            if choice in self.choices[:index]:
                raise Mistake(f"{choice} is listed twice", "choices", index)

    def value(self, share: float) -> Any:
        """The value for a number from 0 to 1."""
        return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]

    def at_border(self, value: Any) -> bool:
        """False: nothing lies beyond a choice."""
        return False

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values that say whether it is possible at all."""
        return tuple(self.choices)

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.choices))}"


Values: TypeAlias = "Range | Choices"
"""The values that a setting may take."""

Space: TypeAlias = "Mapping[str, Values]"
"""The values of each setting that an arm is tuned in."""


def at_border(space: Space, settings: Mapping[str, Any]) -> list[str]:
    """The settings whose values lie at the border of where they were looked for."""
    return [name for name, values in space.items() if name in settings and values.at_border(settings[name])]


def setting_label(settings: Mapping[str, Any]) -> str:
    """Settings as people read them: ``lr=0.05, weight_decay=0.0003``."""
    return ", ".join(
        f"{name}={value:g}" if is_number(value) else f"{name}={value}" for name, value in settings.items()
    )


def parse_values(content: Any) -> Values:
    """What a plan says of a setting: ``[low, high]``, ``{low, high, scale}`` or ``{choices: […]}``.

    Raises:
        Mistake: It has another form.
    """
    if isinstance(content, list) and len(content) == 2 and all(map(is_number, content)):
        return Range(*content)
    if isinstance(content, Mapping):
        keys, ends = set(content), (content.get("low"), content.get("high"))
        if keys == {"choices"} and isinstance(content["choices"], list):
            return Choices(content["choices"])
        if {"low", "high"} <= keys <= {"low", "high", "scale"} and all(map(is_number, ends)):
            return Range(**content)
    raise Mistake(
        "write [low, high], two numbers between which values are log-uniform, "
        f"{{low: …, high: …, scale: linear}} or {{choices: […]}}, not {content!r}"
    )


def points(space: Space, count: int) -> list[dict[str, Any]]:
    """The settings of an arm's trials.

    Args:
        space: The values of each setting; the order of those beside ``lr`` says which coordinates they are.
        count: How many trials, at least one.

    Returns:
        For each trial the value of every setting; the first ones do not depend on the count.
    """
    # Importing it takes longer than all else that reads a plan.
    from scipy.stats import qmc

    own = [name for name in space if name != LR]
    coordinates = {LR: 0, **{name: index for index, name in enumerate(own, 1)}}
    sequence = qmc.Sobol(MOST_SETTINGS, scramble=True, seed=np.random.default_rng(_SCRAMBLE))
    # The sequence is balanced after powers of two only; a part of one is a beginning of the next.
    shares = sequence.random_base2(math.ceil(math.log2(count)))[:count]
    return [
        {name: values.value(float(row[coordinates[name]])) for name, values in space.items()}
        for row in shares
    ]
