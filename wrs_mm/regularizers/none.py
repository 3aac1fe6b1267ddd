"""No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import with_decay_mult, with_frozen_bn, with_type


def none(optim_wrapper: dict[str, Any], frozen_bn: str = "skip") -> dict[str, Any]:
    """No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's.

    Args:
        optim_wrapper: The recipe's.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS with that option.

    Raises:
        OptionError: ``frozen_bn`` is neither ``'skip'`` nor ``'fold'``.
    """
    arm = with_decay_mult(with_type(optim_wrapper, "ScaleInvariantOptimWrapper"), 0.0)
    return with_frozen_bn(arm, frozen_bn)
