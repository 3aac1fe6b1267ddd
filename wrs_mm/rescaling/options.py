"""The options of weight rescaling, and their checks."""

from __future__ import annotations

import math

from wrs_mm.errors import OptionError

GRANULARITIES = ("filter", "layer")
FROZEN_BN = ("skip", "fold")


def check_rescaler_options(
    granularity: object = "filter",
    target: object = "unit",
    interval: object = 1,
    frozen_bn: object = "skip",
    min_norm: object = 1e-8,
) -> None:
    """Check the options of :class:`WeightRescaler` without a model.

    Raises:
        OptionError: A value is out of its range.
    """
    check_choice("granularity", granularity, GRANULARITIES)
    check_choice("frozen_bn", frozen_bn, FROZEN_BN)
    if not (target in ("unit", "init") or (is_number(target) and target > 0)):  # type: ignore[operator]
        raise OptionError(f"target must be 'unit', 'init' or a number > 0, not {target!r}")
    if not isinstance(interval, int) or isinstance(interval, bool) or interval < 1:
        raise OptionError(f"interval must be a whole number ≥ 1, not {interval!r}")
    if not (is_number(min_norm) and 0 <= min_norm < 1):  # type: ignore[operator]
        raise OptionError(f"min_norm must be a number in [0, 1), not {min_norm!r}")


def is_number(value: object) -> bool:
    """Whether it is a real, finite number (and no bool)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise OptionError unless the value is one of the choices."""
    if value not in choices:
        listed = " or ".join(repr(choice) for choice in choices)
        raise OptionError(f"{option} must be {listed}, not {value!r}")
