"""Every process validates with the buffers that the checkpoint holds: those of the first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import run, succeed


@pytest.mark.slow
@pytest.mark.dist
def test_processes_validate_and_test_with_the_buffers_of_the_first() -> None:
    script = Path(__file__).parents[2] / "helpers" / "same_buffers_ranks.py"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        str(script),
    ]
    done = run(command, cwd=script.parent)
    succeed(done)
    for moment in ("val", "test"):
        for rank in (0, 1):
            expected = f"{moment}, rank {rank}: the first one's buffers: True, its own parameters: True"
            assert expected in done.stdout.splitlines()
