"""Weight rescaling (Liu et al., arXiv 2102.03497): norms kept at their target, no weight decay on them."""

from __future__ import annotations

import inspect
from typing import Any

from wrs_mm.engine.optim_wrapper import wrs_options
from wrs_mm.regularizers._optim_wrapper import with_type


def wrs(
    optim_wrapper: dict[str, Any],
    granularity: str = "filter",
    target: str | float = "unit",
    interval: int = 1,
    frozen_bn: str = "skip",
    min_norm: float = 1e-8,
    other_decay: bool = True,
) -> dict[str, Any]:
    """Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.

    The options are those of ``wrs=dict(…)``, see ``WRSOptimWrapper``.

    Raises:
        OptionError: An option's value is out of its range.
    """
    options = {
        "granularity": granularity,
        "target": target,
        "interval": interval,
        "frozen_bn": frozen_bn,
        "min_norm": min_norm,
        "other_decay": other_decay,
    }
    wrs_options(options)
    defaults = {name: p.default for name, p in inspect.signature(wrs).parameters.items()}
    said = {name: value for name, value in options.items() if value != defaults[name]}
    return {**with_type(optim_wrapper, "WRSOptimWrapper"), "wrs": said}
