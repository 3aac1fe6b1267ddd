"""Weight decay: as the recipe has it, or another strength on the scale-invariant weights."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import with_selection, with_type, with_weight_decay
from wrs_mm.rescaling import RescaleOptions


def wd(
    optim_wrapper: dict[str, Any],
    weight_decay: float | None = None,
    granularity: str = "filter",
    frozen_bn: str = "skip",
) -> dict[str, Any]:
    """Weight decay, as the recipe has it.

    Args:
        optim_wrapper: The recipe's.
        weight_decay: Weight decay of the scale-invariant weights; all others keep the recipe's. None leaves
            the recipe as it is.
        granularity: ``'group'`` counts filters before GroupNorm or LayerNorm as scale-invariant, as WRS does
            with that option.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS does with it.

    Raises:
        OptionError: ``weight_decay`` is no number ≥ 0, another option's value is out of its range, or the
            recipe has no weight decay that could be multiplied.
    """
    RescaleOptions(granularity=granularity, frozen_bn=frozen_bn)  # checked also where nothing else is done
    if weight_decay is None:
        return optim_wrapper
    arm = with_type(optim_wrapper, "ScaleInvariantOptimWrapper")
    return with_selection(with_weight_decay(arm, weight_decay, "wd"), frozen_bn, granularity)
