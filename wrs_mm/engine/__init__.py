"""The method inside mmengine. Importing it registers wrappers and constructor."""

from __future__ import annotations

from wrs_mm.engine.constructor import ScaleInvariantOptimWrapperConstructor
from wrs_mm.engine.optim_wrapper import (
    AmpScaleInvariantOptimWrapper,
    AmpWRSOptimWrapper,
    ScaleInvariantOptimWrapper,
    WRSOptimWrapper,
)

__all__ = [
    "AmpScaleInvariantOptimWrapper",
    "AmpWRSOptimWrapper",
    "ScaleInvariantOptimWrapper",
    "ScaleInvariantOptimWrapperConstructor",
    "WRSOptimWrapper",
]
