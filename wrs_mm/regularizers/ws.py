"""Weight standardization (Qiao et al., arXiv 1903.10520) of the scale-invariant convolutions."""

from __future__ import annotations

from typing import Any

from wrs_mm.layers.description import with_builder
from wrs_mm.layers.weight_standardization import STANDARDIZED


def ws(cfg: dict[str, Any]) -> dict[str, Any]:
    """Weight standardization of the scale-invariant convolutions; weight decay as the recipe has it.

    Args:
        cfg: The recipe.

    Raises:
        OptionError: The recipe starts from pretrained weights.
    """
    return with_builder(cfg, STANDARDIZED, "ws")
