"""Rotational variants (Kosson et al., arXiv 2305.17212): filters turn as weight decay makes them."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import strength_of, with_step_rule


def rotational(
    optim_wrapper: dict[str, Any],
    weight_decay: float | None = None,
    decay: float = 0.9,
    frozen_bn: str = "skip",
) -> dict[str, Any]:
    """Filters of scale-invariant weights keep their norms, and turn as weight decay would have them turn.

    Args:
        optim_wrapper: The recipe's.
        weight_decay: The strength that says how far; it is applied to none of them. None is the recipe's.
        decay: Of the running mean square of the update's norm.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS with that option.

    Raises:
        OptionError: An option's value is out of its range, or there is no weight decay to go by.
    """
    strength = strength_of(optim_wrapper, weight_decay, "rotational")
    return with_step_rule(optim_wrapper, "Rotational", frozen_bn, weight_decay=strength, decay=decay)
