"""The method inside mmengine. Importing it registers wrappers, constructor and hook."""

from __future__ import annotations

from wrs_mm.engine.constructor import ScaleInvariantOptimWrapperConstructor
from wrs_mm.engine.optim_wrapper import (
    AmpScaleInvariantOptimWrapper,
    AmpWRSOptimWrapper,
    ScaleInvariantOptimWrapper,
    WRSOptimWrapper,
)
from wrs_mm.engine.random_state_hook import RandomStateHook

__all__ = [
    "AmpScaleInvariantOptimWrapper",
    "AmpWRSOptimWrapper",
    "RandomStateHook",
    "ScaleInvariantOptimWrapper",
    "ScaleInvariantOptimWrapperConstructor",
    "WRSOptimWrapper",
]
