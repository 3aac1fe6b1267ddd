"""The methods inside mmengine. Importing it registers wrappers, constructor, hooks, timm's SGDP and AdamP."""

from __future__ import annotations

from wrs_mm.engine import hooks
from wrs_mm.engine.constructor import ScaleInvariantOptimWrapperConstructor
from wrs_mm.engine.optim_wrapper import (
    AmpScaleInvariantOptimWrapper,
    AmpWRSOptimWrapper,
    ScaleInvariantOptimWrapper,
    WRSOptimWrapper,
)
from wrs_mm.engine.projected import adamp, sgdp
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
    "adamp",
    "hooks",
    "sgdp",
]
