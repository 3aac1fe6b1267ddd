"""Runs on this machine, each in its own process group, the processors or GPUs divided among them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from wrs_mm.bench.executors import Ended
from wrs_mm.bench.runs.folder import Run
from wrs_mm.errors import OptionError

_PRELOADED = "wrs_mm.bench.executors.preloaded"

_SERVER_LOST = 255
"""What multiprocessing reports of a process whose fork server is gone; no worker ends with it."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def _processors() -> int:
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


class _Process(Protocol):
    """A process: that of a run, and the leader of its process group."""

    pid: int

    def code(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""

    def reap(self) -> None:
        """Wait for the end of a process that was killed."""


class _Forked:
    """A process forked from one that has imported the toolboxes.

    It holds one end of a pipe to this process, which the system closes whatever ends this process.
    """

    def __init__(self, run: Run, environment: Mapping[str, str]) -> None:
        self._process = start_forked(_work, (run.folder, run.log, dict(environment)))
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.sentinel: int = self._process.sentinel

    def code(self) -> int | None:
        return self._process.exitcode

    def reap(self) -> None:
        self._process.join()


def start_forked(target: Callable[..., None], args: tuple[Any, ...]) -> BaseProcess:
    """Fork a process; where the one that it is forked from is killed in that moment, from the next one."""
    context = multiprocessing.get_context("forkserver")
    for pause in (0.1, 1.0, None):
        process = context.Process(target=target, args=args)
        try:
            process.start()
        except (EOFError, OSError):
            if pause is None:
                raise
            # Until the system has it that the old one is gone, no new one is started.
            time.sleep(pause)
        else:
            break
    return process


def _work(folder: Path, log: Path, environment: Mapping[str, str]) -> None:
    """What a forked process does."""
    os.setsid()
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.update(environment)

    from wrs_mm.bench.runs import worker

    worker.listen_to_signals()
    harness = multiprocessing.parent_process()
    assert harness is not None
    worker.end_with(harness.join)
    status = 1
    try:
        status = worker.main(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Everything is on disk: tearing down torch and mmengine would only take time.
        os._exit(status)


class _Spawned:
    """A process of its own from the start; standard input is its tie to this one."""

    def __init__(self, run: Run, environment: Mapping[str, str], processes: int) -> None:
        with run.log.open("ab") as log:
            command = [sys.executable, "-m", "wrs_mm.bench.runs.worker", str(run.folder)]
            self._process = subprocess.Popen(
                [*command, "--processes", str(processes)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.pid = self._process.pid
        # Readable once the process has ended, as the sentinel of a forked one is.
        self.sentinel, ended = os.pipe()
        threading.Thread(target=self._tell, args=(ended,), daemon=True).start()

    def _tell(self, ended: int) -> None:
        self._process.wait()
        os.close(ended)

    def code(self) -> int | None:
        return self._process.poll()

    def reap(self) -> None:
        self._process.wait()
        if self.sentinel >= 0:
            os.close(self.sentinel)
            self.sentinel = -1


class LocalJob:
    """A worker process and the process group that it leads.

    Args:
        process: The process.
        slot: Which of the executor's slots it takes.
    """

    def __init__(self, process: Any, slot: int) -> None:
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
        if code == _SERVER_LOST:
            return Ended("the process that runs are forked from was killed", interrupted=True)
        if code < 0:
            return Ended(f"killed by {signal.Signals(-code).name}")
        return Ended(f"exit status {code}")

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
        processors = _processors()
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
            multiprocessing.get_context("forkserver").set_forkserver_preload([_PRELOADED])
            with _environment(self.environment(0)), _no_output():
                forkserver.ensure_running()

    def submit(self, run: Run) -> LocalJob:
        """Start a worker on a free slot."""
        self._taken = [job for job in self._taken if job.ended() is None]
        taken = {job.slot for job in self._taken}
        slot = min(set(range(len(taken) + 1)) - taken)
        variables = self.environment(slot)
        process: _Process
        if self.forks:
            self.prepare()
            process = _Forked(run, variables)
        else:
            process = _Spawned(run, variables, self.processes)
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


@contextlib.contextmanager
def _no_output() -> Iterator[None]:
    """Give processes that are started inside no output of ours: who reads it waits for its last holder."""
    kept = {stream: os.dup(stream) for stream in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in kept:
            os.dup2(nowhere, stream)
        yield
    finally:
        for stream, copy in kept.items():
            os.dup2(copy, stream)
            os.close(copy)
        os.close(nowhere)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started inside."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
