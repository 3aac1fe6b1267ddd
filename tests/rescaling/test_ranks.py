"""Processes whose batches differ agree on what they rescale, and stay bit-identical."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import run, succeed


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("schedule", ["constant", "decay", "decay_and_growth"])
def test_two_processes_with_different_batches_stay_identical(schedule: str) -> None:
    script = Path(__file__).parents[1] / "helpers" / "ranks.py"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(script),
        schedule,
    ]
    done = run(command, cwd=script.parent)
    succeed(done)
    assert f"equal factors: True moved: {schedule != 'constant'}" in done.stdout
    assert "equal weights: True equal sets: True 68" in done.stdout
