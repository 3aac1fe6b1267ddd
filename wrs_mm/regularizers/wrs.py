"""Weight rescaling (Liu et al., arXiv 2102.03497): norms kept at their target, no weight decay on them."""

from __future__ import annotations

from typing import Any

from wrs_mm.engine.constructor import OTHER_DECAY_MULT
from wrs_mm.errors import OptionError
from wrs_mm.regularizers._optim_wrapper import with_decay_mult, with_type
from wrs_mm.rescaling import RescaleOptions


def wrs(
    optim_wrapper: dict[str, Any],
    granularity: str = "filter",
    target: str | float = "unit",
    target_schedule: str = "constant",
    interval: int = 1,
    frozen_bn: str = "skip",
    min_norm: float = 1e-8,
    other_decay: bool = True,
) -> dict[str, Any]:
    """Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.

    All options but the last are those of :class:`~wrs_mm.rescaling.RescaleOptions`.

    Args:
        optim_wrapper: The recipe's.
        granularity: As in RescaleOptions.
        target: As in RescaleOptions.
        target_schedule: As in RescaleOptions.
        interval: As in RescaleOptions.
        frozen_bn: As in RescaleOptions.
        min_norm: As in RescaleOptions.
        other_decay: False switches the weight decay of all other parameters off too.

    Raises:
        OptionError: An option's value is out of its range.
    """
    options = RescaleOptions(granularity, target, target_schedule, interval, frozen_bn, min_norm)
    if not isinstance(other_decay, bool):
        raise OptionError(f"other_decay must be True or False, not {other_decay!r}")
    arm = {**with_type(optim_wrapper, "WRSOptimWrapper"), "wrs": options.changes()}
    return arm if other_decay else with_decay_mult(arm, 0.0, OTHER_DECAY_MULT)
