"""Weight rescaling to a norm that follows the recipe's weight decay; ours, not the paper's."""

from __future__ import annotations

from typing import Any

from wrs_mm.errors import OptionError
from wrs_mm.regularizers._optim_wrapper import recipes_decay, with_weight_decay
from wrs_mm.regularizers.wrs import wrs


def wrs_matched(
    optim_wrapper: dict[str, Any],
    granularity: str = "filter",
    target: str | float = "init_rms",
    target_schedule: str = "decay_and_growth_by_layer",
    weight_decay: float | None = None,
    interval: int = 1,
    frozen_bn: str = "skip",
    min_norm: float = 1e-8,
    other_decay: bool = True,
) -> dict[str, Any]:
    """Weight rescaling to norms that follow what the recipe's weight decay makes of them.

    Args:
        optim_wrapper: The recipe's.
        granularity: As in RescaleOptions.
        target: As in RescaleOptions: where the norms start.
        target_schedule: As in RescaleOptions, but not ``'constant'``.
        weight_decay: Weight decay of the scale-invariant weights, which the norms follow; all others keep the
            recipe's. None is the recipe's for them too.
        interval: As in RescaleOptions.
        frozen_bn: As in RescaleOptions.
        min_norm: As in RescaleOptions.
        other_decay: False switches the weight decay of all other parameters off.

    Raises:
        OptionError: An option's value is out of its range, or the recipe has no weight decay to follow.
    """
    if target_schedule == "constant":
        raise OptionError(
            "wrs_matched: target_schedule must be 'decay_and_growth_by_layer', 'decay_and_growth' or "
            "'decay'; 'constant' is the arm wrs"
        )
    arm = wrs(
        optim_wrapper,
        granularity,
        target,
        target_schedule,
        interval,
        frozen_bn,
        min_norm,
        other_decay,
    )
    if weight_decay == 0 or not recipes_decay(optim_wrapper):
        raise OptionError(
            "wrs_matched: norms follow weight decay, and there is none: give the recipe's optimizer a "
            "weight_decay, and weight_decay a number > 0, or use the arm wrs"
        )
    return arm if weight_decay is None else with_weight_decay(arm, weight_decay, "wrs_matched")
