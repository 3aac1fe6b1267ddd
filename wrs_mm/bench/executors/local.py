"""Runs on this machine, each in its own process group, the processors or GPUs divided among them."""

from __future__ import annotations

import contextlib
import os
import signal
from multiprocessing import connection
from typing import Protocol

from wrs_mm.bench.executors import Ended
from wrs_mm.bench.executors.forked import SERVER_LOST, ForkedProcess, start_server
from wrs_mm.bench.executors.spawned import SpawnedProcess
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.signals import ending
from wrs_mm.errors import OptionError

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def count_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    import torch

    count = torch.cuda.device_count()
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return visible[:count] or [str(index) for index in range(count)]


class Process(Protocol):
    """The process of a run, and the leader of its process group."""

    pid: int
    sentinel: int
    """A file descriptor that becomes ready when the process ends."""

    def code(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""

    def reap(self) -> None:
        """Wait for the end of a process that was killed."""


class LocalJob:
    """A worker process and the process group that it leads.

    Args:
        process: The process.
        slot: Which of the executor's slots it takes.
    """

    def __init__(self, process: Process, slot: int) -> None:
        self.slot = slot
        self._process = process

    @property
    def sentinel(self) -> int:
        """A file descriptor that becomes ready when the process ends."""
        return self._process.sentinel

    def ended(self) -> Ended | None:
        """How the process ended, None while it lives."""
        code = self._process.code()
        if code is None:
            return None
        if code == SERVER_LOST:
            return Ended("the process that runs are forked from was killed", interrupted=True)
        return Ended(ending(code))

    def stop(self) -> None:
        """Send SIGTERM to the worker."""
        if self._process.code() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the whole process group and wait for the worker's end."""
        for kill in (os.killpg, os.kill):
            # A process that has only just been forked leads no group yet.
            if kill is os.killpg or self._process.code() is None:
                with contextlib.suppress(ProcessLookupError):
                    kill(self._process.pid, signal.SIGKILL)
        self._process.reap()


class LocalExecutor:
    """This machine.

    Without a GPU, runs are forked from a process that has imported torch and both toolboxes once,
    which makes their start-up a fraction; with GPUs, or several processes a run, each starts anew,
    because CUDA does not survive a fork.

    Args:
        jobs: Runs at once. None: as many as the GPUs allow; without a GPU two, on a single processor
            one. The default does not look at how many runs are waiting: the number of threads
            changes sums in their last bits, so a benchmark that is taken up again must divide in
            the same way.
        processes: Processes that train one run together: GPUs a run, where there are GPUs.
        gpus: Names of the GPUs; None finds them.

    Raises:
        OptionError: There are not so many GPUs.
    """

    detached = False

    def __init__(self, jobs: int | None = None, processes: int = 1, gpus: list[str] | None = None) -> None:
        self._gpus = find_gpus() if gpus is None else gpus
        self.processes = processes
        if self._gpus and processes > len(self._gpus):
            raise OptionError(f"--gpus-per-run {processes}: this machine has {len(self._gpus)}")
        room = len(self._gpus) // processes
        if self._gpus and jobs is not None and jobs > room and processes > 1:
            raise OptionError(f"--jobs {jobs}: the GPUs allow {room} runs of {processes} at once")
        processors = count_processors()
        self.jobs = jobs or room or min(2, processors)
        self.threads = _chosen_threads() or max(1, processors // (self.jobs * processes))
        self._taken: list[LocalJob] = []

    @property
    def slots(self) -> int:
        """Runs at once."""
        return self.jobs

    @property
    def forks(self) -> bool:
        """Whether runs are forked from a process that has imported everything."""
        return not self._gpus and self.processes == 1

    def prepare(self) -> None:
        """Let the process that runs are forked from begin to import."""
        if self.forks:
            start_server(self.environment(0))

    def submit(self, run: Run) -> LocalJob:
        """Start a worker on a free slot."""
        self._taken = [job for job in self._taken if job.ended() is None]
        taken = {job.slot for job in self._taken}
        slot = min(set(range(len(taken) + 1)) - taken)
        variables = self.environment(slot)
        process: Process
        if self.forks:
            self.prepare()
            process = ForkedProcess(run, variables)
        else:
            process = SpawnedProcess(run, variables, self.processes)
        job = LocalJob(process, slot)
        self._taken.append(job)
        return job

    def wait(self, seconds: float) -> None:
        """Wait so long, or less if a job ends."""
        alive = [job for job in self._taken if job.ended() is None]
        if len(alive) == len(self._taken):
            connection.wait([job.sentinel for job in alive], timeout=seconds)
        self._taken = alive

    def environment(self, slot: int) -> dict[str, str]:
        """Environment variables of the process on a slot."""
        variables = dict.fromkeys(_THREADS, str(self.threads))
        # Python's hash seed orders sets, which some dataset code iterates over.
        variables["PYTHONHASHSEED"] = "0"
        variables["PYTHONUNBUFFERED"] = "1"
        if self._gpus:
            count = len(self._gpus)
            mine = [self._gpus[(slot * self.processes + index) % count] for index in range(self.processes)]
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
            # Deterministic algorithms of cuBLAS ask for it.
            variables["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        return variables


def _chosen_threads() -> int | None:
    """Threads a run, where the user has said how many."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() and int(text) > 0 else None
