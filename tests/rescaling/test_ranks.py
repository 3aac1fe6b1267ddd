"""Processes whose batches differ agree on what they rescale, and stay bit-identical."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import run, succeed


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("schedule", ["constant", "decay", "decay_and_growth", "rotational", "projection"])
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
    assert f"equal factors: True moved: {schedule.startswith('decay')}" in done.stdout
    # The projection also takes the convolutions of channel attention, which have no BN.
    count = 72 if schedule == "projection" else 68
    assert f"equal weights: True equal sets: True {count}" in done.stdout
