"""The options of weight rescaling: names, defaults and checks; a run keeps them to its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from wrs_mm.errors import OptionError
from wrs_mm.values import is_number, is_whole_number

GRANULARITIES = ("filter", "group", "layer")
"""What has one norm: each filter, the filters that norm layers normalize together, or the whole weight."""

_TARGET_SCHEDULES = ("constant", "decay", "decay_and_growth", "decay_and_growth_by_layer")

_STARTS = ("unit", "init", "init_rms")

_FROZEN_BN = ("skip", "fold")

SELECTION = ("granularity", "frozen_bn")
"""The options on which it depends what weights are selected."""

LAYOUT = 3
"""Version of the saved state's format; the first had no such key, the second no moving targets."""


@dataclass(frozen=True)
class RescaleOptions:
    """How the selected weights are rescaled. Whatever takes, saves or lists options does it by these fields.

    Attributes:
        granularity: Each output channel's norm (``'filter'``, the paper's weight vector), that of the filters
            which GroupNorm or LayerNorm normalize together (``'group'``; ``√m`` times the target for ``m`` of
            them, so that their norms' root mean square is it), or the whole weight's (``'layer'``).
        target: Norm 1 (``'unit'``), the filter's norm when training began (``'init'``), the root mean square
            of all filters' then (``'init_rms'``), or a number > 0.
        target_schedule: How the target goes on from there: not at all (``'constant'``, the paper), as weight
            decay alone shrinks a norm (``'decay'``), or as weight decay and the gradients together move those
            of a parameter group (``'decay_and_growth'``) or of each weight (``'decay_and_growth_by_layer'``).
        interval: Rescale after every that many updates.
        frozen_bn: Leave weights before a frozen BN alone (``'skip'``), or rescale them and fold, which keeps
            the network's function (``'fold'``).
        min_norm: Share of the target at and below which a filter is dead, and left alone.

    Raises:
        OptionError: A value is out of its range.
    """

    granularity: str = "filter"
    target: str | float = "unit"
    target_schedule: str = "constant"
    interval: int = 1
    frozen_bn: str = "skip"
    min_norm: float = 1e-8

    def __post_init__(self) -> None:
        _check_choice("granularity", self.granularity, GRANULARITIES)
        _check_choice("frozen_bn", self.frozen_bn, _FROZEN_BN)
        _check_choice("target_schedule", self.target_schedule, _TARGET_SCHEDULES)
        if self.target not in _STARTS and not (is_number(self.target) and self.target > 0):
            raise OptionError(
                f"target must be 'unit', 'init', 'init_rms' or a number > 0, not {self.target!r}"
            )
        if not (is_whole_number(self.interval) and self.interval >= 1):
            raise OptionError(f"interval must be a whole number ≥ 1, not {self.interval!r}")
        if not (is_number(self.min_norm) and 0 <= self.min_norm < 1):
            raise OptionError(f"min_norm must be a number in [0, 1), not {self.min_norm!r}")

    @property
    def decay_mult(self) -> float:
        """Factor on the rescaled weights' decay unless another is given: what targets follow stays on."""
        return 0.0 if self.target_schedule == "constant" else 1.0

    @classmethod
    def from_dict(cls, given: object, owner: str, names: Collection[str] | None = None) -> RescaleOptions:
        """Options as a caller wrote them, the others at their defaults.

        Args:
            given: A mapping from names to values.
            owner: How an error calls what has these options.
            names: The options that it has; all unless said otherwise.

        Raises:
            OptionError: It is no mapping, or a name or value is wrong.
        """
        if not isinstance(given, Mapping):
            raise OptionError(f"{owner} must be a dict of options, not {given!r}")
        known = [f.name for f in dataclasses.fields(cls) if names is None or f.name in names]
        for name in given:
            if name not in known:
                raise OptionError(f"{owner} has no option {name!r}; its options are {', '.join(known)}")
        return cls(**given)

    def changes(self) -> dict[str, Any]:
        """The options whose values are not their defaults."""
        values = dataclasses.asdict(self)
        return {f.name: values[f.name] for f in dataclasses.fields(self) if values[f.name] != f.default}


def check_same_run(state: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Refuse to go on from a saved state that is not of this run: a run keeps all its options to its end.

    Args:
        state: With its ``layout`` and ``options``.
        options: This run's, by name.

    Raises:
        OptionError: The state is in another layout, or of a run with other options.
    """
    if state.get("layout") != LAYOUT:
        raise OptionError(
            "the checkpoint's optimizer state is of another version of wrs-mm: begin a new run from its "
            "weights with load_from instead of resuming it"
        )
    saved = state["options"]
    if saved.keys() != options.keys():
        raise OptionError(
            "the checkpoint's optimizer state is of a run with another regularizer: begin a new run from its "
            "weights with load_from instead of resuming it"
        )
    for name, value in options.items():
        if saved[name] != value:
            raise OptionError(
                f"the checkpoint was trained with {name}={saved[name]!r}, this run has {value!r}: "
                "resume with the same option, or begin a new run with load_from"
            )


def _check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        *others, last = map(repr, choices)
        listed = f"{', '.join(others)} or {last}"
        raise OptionError(f"{option} must be {listed}, not {value!r}")
