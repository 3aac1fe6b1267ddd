"""Processes forked from one that has imported the toolboxes.

What becomes of them when the harness, or the server, is killed is in tests/bench/test_bench.py and
test_kills.py; what they save in tests/bench/test_overhead.py.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest

from wrs_mm.bench.executors.forked import SERVER_LOST, start_forked
from wrs_mm.bench.executors.local import LocalJob

HARNESS = """
import os, sys
from multiprocessing import connection
from pathlib import Path
from wrs_mm.bench.executors.forked import ForkedProcess, start_server
from wrs_mm.bench.runs.folder import Run

if __name__ == "__main__":
    start_server({"SEEN": "by the server"})
    assert "SEEN" not in os.environ
    run = Run(Path(sys.argv[1]))
    process = ForkedProcess(run, {"MINE": "1"})
    assert connection.wait([process.sentinel], timeout=120)
    process.reap()
    assert process.code() == 1, process.code()
    print("ended")
"""


@pytest.mark.slow
def test_a_forked_process_writes_to_its_log_and_nothing_to_the_harness_s_output(tmp_path: Path) -> None:
    program, folder = tmp_path / "harness.py", tmp_path / "run"
    program.write_text(HARNESS)
    folder.mkdir()
    done = subprocess.run([sys.executable, program, folder], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
    assert f"{folder} is not a run" in (folder / "train.log").read_text()


def test_a_run_whose_server_is_lost_was_interrupted_and_has_not_failed() -> None:
    class Lost:
        pid, sentinel = 0, 0

        def code(self) -> int:
            return SERVER_LOST

        def reap(self) -> None:
            pass

    ended = LocalJob(Lost(), slot=0).ended()
    assert ended is not None
    assert ended.interrupted


def test_a_run_is_forked_although_the_process_that_it_comes_from_is_killed_in_that_moment(monkeypatch):
    ensure = forkserver.ensure_running
    killed = []

    def ensure_and_kill() -> None:
        ensure()
        if not killed:
            killed.append(forkserver._forkserver._forkserver_pid)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(forkserver._forkserver, "ensure_running", ensure_and_kill)
    process = start_forked(math.sqrt, (4,))
    process.join()
    assert killed
    assert process.exitcode == 0
