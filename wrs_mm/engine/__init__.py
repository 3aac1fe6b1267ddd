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
from wrs_mm.engine.step_rules import (
    STEP_RULES,
    AmpPBWNOptimWrapper,
    AmpStepRuleOptimWrapper,
    PBWNOptimWrapper,
    StepRuleOptimWrapper,
)

__all__ = [
    "STEP_RULES",
    "AmpPBWNOptimWrapper",
    "AmpScaleInvariantOptimWrapper",
    "AmpStepRuleOptimWrapper",
    "AmpWRSOptimWrapper",
    "PBWNOptimWrapper",
    "ScaleInvariantOptimWrapper",
    "ScaleInvariantOptimWrapperConstructor",
    "StepRuleOptimWrapper",
    "WRSOptimWrapper",
    "hooks",
]
