"""The method inside mmengine. Importing it registers wrappers, constructor and hooks."""

from __future__ import annotations

from wrs_mm.engine import hooks
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
    "hooks",
]
