"""Folders of runs that nobody has begun: one arm of one recipe, a seed each."""

from __future__ import annotations

from pathlib import Path

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity


def make_runs(folder: Path, count: int) -> list[Run]:
    """The folders ``run0``, ``run1``, … in a folder."""
    made = []
    for seed in range(count):
        spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=seed, baseline=True)
        run = Run(folder / f"run{seed}")
        run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
        made.append(run)
    return made
