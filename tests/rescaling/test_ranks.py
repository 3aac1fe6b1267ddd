"""Processes whose batches differ agree on what they rescale, and stay bit-identical."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import run, succeed

SCHEDULES = ["constant", "decay", "decay_and_growth", "decay_and_growth_by_layer", "rotational", "projection"]


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What two processes say of a training with each schedule, one after the other."""
    script = Path(__file__).parents[1] / "helpers" / "ranks.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = run([*command, str(script), *SCHEDULES], cwd=script.parent)
    succeed(done)
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_two_processes_with_different_batches_stay_identical(printed: list[str], schedule: str) -> None:
    # The projection also takes the convolutions of channel attention, which have no BN.
    count = 72 if schedule == "projection" else 68
    factors = f"equal factors: True moved: {schedule.startswith('decay')}"
    assert f"{schedule}: {factors} equal weights: True equal sets: True {count}" in printed
