"""Processes that start anew, one for a run or several."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping

from wrs_mm.bench.runs.folder import Run


class SpawnedProcess:
    """The process of a run, or torchrun, which starts several; it ends when its standard input closes.

    Args:
        run: The run.
        environment: Environment variables, beside those of this process.
        processes: How many train the run together.
    """

    def __init__(self, run: Run, environment: Mapping[str, str], processes: int) -> None:
        with run.log.open("ab") as log:
            self._process = subprocess.Popen(
                _command(run, processes),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.pid = self._process.pid
        # Readable once the process has ended, as the sentinel of a forked one is.
        self.sentinel, ended = os.pipe()
        threading.Thread(target=self._close_at_end, args=(ended,), daemon=True).start()

    def _close_at_end(self, ended: int) -> None:
        self._process.wait()
        os.close(ended)

    def code(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        return self._process.poll()

    def reap(self) -> None:
        """Wait for the end of a process that was killed."""
        self._process.wait()
        if self.sentinel >= 0:
            os.close(self.sentinel)
            self.sentinel = -1


def _command(run: Run, processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable, "-m", "wrs_mm.bench.runs.worker", str(run.folder)]
    return [sys.executable, "-m", "wrs_mm.bench.executors.torchrun", str(run.folder), str(processes)]
