"""Weight decay: as the recipe has it, or another strength on the scale-invariant weights."""

from __future__ import annotations

from typing import Any

from wrs_mm.errors import OptionError
from wrs_mm.regularizers._optim_wrapper import with_decay_mult, with_frozen_bn, with_type
from wrs_mm.rescaling import RescaleOptions
from wrs_mm.values import is_number


def wd(
    optim_wrapper: dict[str, Any], weight_decay: float | None = None, frozen_bn: str = "skip"
) -> dict[str, Any]:
    """Weight decay, as the recipe has it.

    Args:
        optim_wrapper: The recipe's.
        weight_decay: Weight decay of the scale-invariant weights; all others keep the recipe's. None leaves
            the recipe as it is.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant, as WRS with that option.

    Raises:
        OptionError: ``weight_decay`` is no number ≥ 0, ``frozen_bn`` neither ``'skip'`` nor ``'fold'``, or
            the recipe has no weight decay that could be multiplied.
    """
    RescaleOptions(frozen_bn=frozen_bn)  # checked also where nothing else is done
    if weight_decay is None:
        return optim_wrapper
    if not is_number(weight_decay) or weight_decay < 0:
        raise OptionError(f"wd: weight_decay must be a number ≥ 0, not {weight_decay!r}")
    recipe = optim_wrapper["optimizer"].get("weight_decay")
    if not recipe:
        raise OptionError(
            "wd: the recipe has no weight_decay in its optimizer, which weight_decay is set against"
        )
    arm = with_decay_mult(with_type(optim_wrapper, "ScaleInvariantOptimWrapper"), weight_decay / recipe)
    return with_frozen_bn(arm, frozen_bn)
