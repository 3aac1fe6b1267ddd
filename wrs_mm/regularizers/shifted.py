"""ε-shifted L2 (Li et al., arXiv 1911.05920): weight decay towards the norm ε in place of 0."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import strength_of, with_step_rule


def shifted(
    optim_wrapper: dict[str, Any],
    weight_decay: float | None = None,
    epsilon: float = 1e-3,
    frozen_bn: str = "skip",
) -> dict[str, Any]:
    """Weight decay of scale-invariant weights that draws each filter's norm to ε, not to 0.

    Args:
        optim_wrapper: The recipe's.
        weight_decay: Its strength; None is the recipe's.
        epsilon: The norm.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS with that option.

    Raises:
        OptionError: An option's value is out of its range, or there is no weight decay to shift.
    """
    strength = strength_of(optim_wrapper, weight_decay, "shifted")
    return with_step_rule(optim_wrapper, "Shifted", frozen_bn, weight_decay=strength, epsilon=epsilon)
