"""Projection-based weight normalization (Huang et al., arXiv 1710.02338): filters to norm 1, now and then."""

from __future__ import annotations

from typing import Any

from wrs_mm.regularizers._optim_wrapper import with_type
from wrs_mm.rescaling import RescaleOptions


def pbwn(
    optim_wrapper: dict[str, Any], interval: int = 10, frozen_bn: str = "skip", min_norm: float = 1e-8
) -> dict[str, Any]:
    """Weight decay as the recipe has it, and every convolution's filters but the classifier's to norm 1.

    Args:
        optim_wrapper: The recipe's.
        interval: After every that many updates; for once an epoch, write how many an epoch has.
        frozen_bn: As in :class:`~wrs_mm.rescaling.RescaleOptions`.
        min_norm: As in RescaleOptions.

    Raises:
        OptionError: An option's value is out of its range.
    """
    options = RescaleOptions(interval=interval, frozen_bn=frozen_bn, min_norm=min_norm)
    said = {key: value for key, value in options.changes().items() if key != "interval"}
    return {**with_type(optim_wrapper, "PBWNOptimWrapper"), "pbwn": {"interval": interval, **said}}
