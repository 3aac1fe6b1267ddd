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
    {"target": "init", "target_schedule": "decay_and_growth_by_layer"},
]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What two processes say of each of the options, one after the other."""
    script = Path(__file__).parents[1] / "helpers" / "sharded_ranks.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    folder = str(tmp_path_factory.mktemp("checkpoints"))
    done = run([*command, str(script), folder, *map(repr, OPTIONS)], cwd=script.parent)
    succeed(done)
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_two_processes_that_hold_parts_train_as_two_that_hold_all(
    printed: list[str], options: dict[str, Any]
) -> None:
    """In float64, to rounding; also with a unit of fully_shard for each layer."""
    lines = [line for line in printed if line.startswith(f"{options} boundaries")]
    assert len(lines) == 2 and all(line.endswith("wrong: [] []") for line in lines), printed
    weights = 5 if "granularity" in options else 4
    assert all(f": {weights} weights" in line for line in lines)
