"""Learning rates that grow with norms, and no weight decay (Liu et al., arXiv 2102.03497, version 1)."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import with_step_rule


def scale_lr(
    optim_wrapper: dict[str, Any], power: int | str = "auto", frozen_bn: str = "skip"
) -> dict[str, Any]:
    """No weight decay of scale-invariant weights; their learning rates grow so that effective ones stay.

    Args:
        optim_wrapper: The recipe's.
        power: Of the norm, in the factor on the learning rate: 2 for SGD, 1 for Adam and its like; ``'auto'``
            goes by the optimizer.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS with that option.

    Raises:
        OptionError: An option's value is out of its range.
    """
    return with_step_rule(optim_wrapper, "ScaledRate", frozen_bn, power=power)
