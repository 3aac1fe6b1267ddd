"""What a run's process needs of the toolboxes, imported once for all runs.

Importing torch, mmdet and mmseg takes many times longer than starting a process that has them
already. The fork server of :mod:`wrs_mm.bench.executors.forked` imports this module and nothing
else: no data, no random numbers, no threads that a fork would lose.
"""

from __future__ import annotations

import contextlib
import gc
import importlib

MODULES = (
    *(f"mmdet.{name}" for name in ("datasets", "engine", "evaluation", "models", "visualization")),
    *(f"mmseg.{name}" for name in ("datasets", "engine", "evaluation", "models", "visualization")),
    "wrs_mm.openmmlab.numerics",
    "wrs_mm.openmmlab.pretrained",
    "wrs_mm.openmmlab.protection.protect",
    "wrs_mm.openmmlab.protection.resuming",
    "wrs_mm.bench.runs.evaluation",
    "wrs_mm.bench.runs.hooks",
    "wrs_mm.bench.runs.instrument",
    "wrs_mm.bench.runs.iou_recorder",
    "wrs_mm.bench.runs.pretraining",
    "wrs_mm.bench.runs.start_norms",
    "wrs_mm.bench.runs.worker",
)
"""What the fork server imports."""

for module in MODULES:
    # A run that needs what cannot be imported says in its own log why.
    with contextlib.suppress(Exception):
        importlib.import_module(module)

# What was imported stays: a run's collections of garbage (mmengine asks for one with each data set) neither
# look through it then, nor copy the memory that it shares with this process.
gc.collect()
gc.freeze()
