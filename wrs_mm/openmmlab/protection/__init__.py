"""What makes a training that is killed and resumed the one that was not; its hooks are registered here.

Everybody who trains, ``wrs-mm train`` and the benchmark, has a config protected by
:func:`~wrs_mm.openmmlab.protection.protect.protect_config` and the runner that is built from it by
:func:`~wrs_mm.openmmlab.protection.protect.protect_runner`.
"""

from __future__ import annotations

from wrs_mm.openmmlab.protection.checkpoint_hook import SafeCheckpointHook
from wrs_mm.openmmlab.protection.random_state_hook import RandomStateHook
from wrs_mm.openmmlab.protection.same_buffers_hook import SameBuffersHook

__all__ = ["RandomStateHook", "SafeCheckpointHook", "SameBuffersHook"]
