"""The method in plain PyTorch: weight rescaling for any training loop. Needs torch and no other library."""

from __future__ import annotations

from wrs_mm.rescaling.invariant_weights import ScaleInvariantWeights
from wrs_mm.rescaling.observation import Observation, merge
from wrs_mm.rescaling.observer import observe
from wrs_mm.rescaling.options import RescaleOptions
from wrs_mm.rescaling.projection import WeightProjection
from wrs_mm.rescaling.ruled_steps import RuledSteps
from wrs_mm.rescaling.scale_invariant_decay import ScaleInvariantDecay
from wrs_mm.rescaling.step_rule import RuledWeight, StepRule
from wrs_mm.rescaling.verdicts import Verdict, judge
from wrs_mm.rescaling.weight_rescaler import WeightRescaler

__all__ = [
    "Observation",
    "RescaleOptions",
    "RuledSteps",
    "RuledWeight",
    "ScaleInvariantDecay",
    "ScaleInvariantWeights",
    "StepRule",
    "Verdict",
    "WeightProjection",
    "WeightRescaler",
    "judge",
    "merge",
    "observe",
]
