"""Two runs that wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    made = []
    for seed in range(2):
        spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=seed, baseline=True)
        run = Run(tmp_path / f"run{seed}")
        run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
        made.append(run)
    return made
