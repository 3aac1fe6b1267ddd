"""Runs on this machine, each in its own process group, the processors divided among them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from wrs_mm.bench.runs import Run


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    count = torch.cuda.device_count()
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return visible[:count] or [str(index) for index in range(count)]


class LocalJob:
    """A worker process and the process group that it leads.

    Args:
        run: The run.
        environment: The process's environment variables.
        slot: Which of the executor's slots it takes.
    """

    def __init__(self, run: Run, environment: dict[str, str], slot: int) -> None:
        self.slot = slot
        with run.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wrs_mm.bench.worker", str(run.folder)],
                # The worker ends when this pipe closes: see wrs_mm.bench.worker.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def ended(self) -> str | None:
        """How the process ended, None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit status {code}"

    def stop(self) -> None:
        """Send SIGTERM to the worker."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the whole process group and wait for the worker's end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class LocalExecutor:
    """This machine.

    Args:
        jobs: Runs at once. None: one a GPU; without a GPU two, on a single processor one. The
            default does not look at how many runs are waiting: the number of threads changes sums
            in their last bits, so a benchmark that is taken up again must divide in the same way.
    """

    def __init__(self, jobs: int | None = None) -> None:
        self._gpus = _gpus()
        processors = _processors()
        self.jobs = jobs or len(self._gpus) or min(2, processors)
        self.threads = max(1, processors // self.jobs)
        self._taken: list[LocalJob] = []

    @property
    def slots(self) -> int:
        """Runs at once."""
        return self.jobs

    def submit(self, run: Run) -> LocalJob:
        """Start a worker on a free slot."""
        self._taken = [job for job in self._taken if job.ended() is None]
        taken = {job.slot for job in self._taken}
        slot = min(set(range(len(taken) + 1)) - taken)
        environment = dict(os.environ)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(self.threads)
        # Python's hash seed orders sets, which some dataset code iterates over.
        environment["PYTHONHASHSEED"] = "0"
        environment["PYTHONUNBUFFERED"] = "1"
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
            # Deterministic algorithms of cuBLAS ask for it.
            environment["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        job = LocalJob(run, environment, slot)
        self._taken.append(job)
        return job
