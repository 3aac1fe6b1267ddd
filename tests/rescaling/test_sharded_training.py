"""fully_shard with WRS trains what DDP with WRS trains, and resumes: wrs_mm.rescaling.sharding."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from commands import run, succeed

OPTIONS: list[dict[str, Any]] = [
    {},
    {"granularity": "group", "target": "init_rms", "target_schedule": "decay_and_growth"},
    {"granularity": "layer", "frozen_bn": "fold", "target": "init"},
]


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options.get("granularity", "filter"))
def test_two_processes_that_hold_parts_train_as_two_that_hold_all(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """In float64, to rounding; also with a unit of fully_shard for each layer."""
    script = Path(__file__).parents[1] / "helpers" / "sharded_ranks.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = run([*command, str(script), str(tmp_path), repr(options)], cwd=script.parent)
    succeed(done)
    lines = [line for line in done.stdout.splitlines() if line.startswith("boundaries")]
    assert len(lines) == 2 and all(line.endswith("wrong: [] []") for line in lines), lines
    assert all(f": {5 if options else 4} weights" in line for line in lines)
