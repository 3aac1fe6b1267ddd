"""Processes that start anew: what they write and how their end is seen.

What several of them, through :mod:`wrs_mm.bench.executors.torchrun`, make of a run is in test_local.py.
"""

from __future__ import annotations

import os
from multiprocessing import connection
from pathlib import Path

import pytest

from wrs_mm.bench.executors.local import LocalJob
from wrs_mm.bench.executors.spawned import SpawnedProcess
from wrs_mm.bench.runs.folder import Run


@pytest.fixture
def no_run(tmp_path: Path) -> Run:
    """A folder that a worker refuses."""
    return Run(tmp_path)


def test_the_end_of_a_process_is_seen_and_its_log_says_why(no_run):
    process = SpawnedProcess(no_run, {}, processes=1)
    assert os.getpgid(process.pid) == process.pid
    assert connection.wait([process.sentinel], timeout=60)
    process.reap()
    ended = LocalJob(process, slot=0).ended()
    assert ended is not None
    assert (ended.how, ended.interrupted) == ("exit status 1", False)
    assert no_run.log.read_text().endswith(f"SystemExit: {no_run.folder} is not a run\n")


def test_a_process_that_is_killed_says_by_what(no_run):
    job = LocalJob(SpawnedProcess(no_run, {}, processes=1), slot=0)
    assert job.ended() is None
    job.kill()
    ended = job.ended()
    assert ended is not None
    assert ended.how == "killed by SIGKILL"
