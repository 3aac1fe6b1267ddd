"""No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import with_decay_mult, with_selection, with_type


def none(
    optim_wrapper: dict[str, Any], granularity: str = "filter", frozen_bn: str = "skip"
) -> dict[str, Any]:
    """No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's.

    Args:
        optim_wrapper: The recipe's.
        granularity: ``'group'`` counts filters before GroupNorm or LayerNorm as scale-invariant, as WRS does
            with that option.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS does with it.

    Raises:
        OptionError: An option's value is out of its range.
    """
    arm = with_decay_mult(with_type(optim_wrapper, "ScaleInvariantOptimWrapper"), 0.0)
    return with_selection(arm, frozen_bn, granularity)
