"""Independent-component layers (Chen et al., arXiv 1905.05928) in the residual blocks."""

from __future__ import annotations

from typing import Any

from wrs_mm.errors import OptionError
from wrs_mm.layers.description import with_builder
from wrs_mm.layers.independent_components import INDEPENDENT
from wrs_mm.values import is_number


def ic(cfg: dict[str, Any], p: float = 0.05) -> dict[str, Any]:
    """BN and dropout before each convolution of a residual block; weight decay as the recipe has it.

    Args:
        cfg: The recipe.
        p: Share of the values that each layer's dropout sets to zero; its authors take 0.05 to 0.1.

    Raises:
        OptionError: ``p`` is no number from 0 to below 1, or the recipe starts from pretrained weights.
    """
    if not is_number(p) or not 0 <= p < 1:
        raise OptionError(f"ic: p must be a number from 0 to below 1, not {p!r}")
    return with_builder(cfg, INDEPENDENT, "ic", p=p)
