"""Hyperball (Wen et al., arXiv 2606.16899): norms stay as they were, and each update is η times its norm."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import with_step_rule


def hyperball(
    optim_wrapper: dict[str, Any], granularity: str = "layer", frozen_bn: str = "skip"
) -> dict[str, Any]:
    """Scale-invariant weights keep their norms, and each update is the learning rate times the norm.

    Args:
        optim_wrapper: The recipe's.
        granularity: What has one norm: the whole weight (``'layer'``, as in the source), or each filter.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS with that option.

    Raises:
        OptionError: An option's value is out of its range.
    """
    return with_step_rule(optim_wrapper, "Hyperball", frozen_bn, granularity=granularity)
