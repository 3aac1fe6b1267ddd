"""Hooks that anyone adds to a config. Importing it registers them."""

from __future__ import annotations

from wrs_mm.engine.hooks.sharpness_hook import SharpnessHook
from wrs_mm.engine.hooks.weight_dynamics_hook import WeightDynamicsHook
from wrs_mm.engine.hooks.weight_noise_hook import WeightNoiseHook

__all__ = ["SharpnessHook", "WeightDynamicsHook", "WeightNoiseHook"]
