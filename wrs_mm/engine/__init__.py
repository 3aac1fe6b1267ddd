"""The method inside mmengine. Importing it registers wrappers, constructor and timm's SGDP and AdamP."""

from __future__ import annotations

from wrs_mm.engine.constructor import ScaleInvariantOptimWrapperConstructor
from wrs_mm.engine.optim_wrapper import (
    AmpScaleInvariantOptimWrapper,
    AmpWRSOptimWrapper,
    ScaleInvariantOptimWrapper,
    WRSOptimWrapper,
)
from wrs_mm.engine.projected import adamp, sgdp

__all__ = [
    "AmpScaleInvariantOptimWrapper",
    "AmpWRSOptimWrapper",
    "ScaleInvariantOptimWrapper",
    "ScaleInvariantOptimWrapperConstructor",
    "WRSOptimWrapper",
    "adamp",
    "sgdp",
]
