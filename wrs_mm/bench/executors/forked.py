"""Processes forked from one that has imported torch and both toolboxes: they start in no time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

from wrs_mm.bench.runs.folder import Run

SERVER_LOST = 255
"""What multiprocessing reports of a process whose fork server is gone; no worker ends with it."""

_PRELOADED = "wrs_mm.bench.executors.preloaded"


def start_server(environment: Mapping[str, str]) -> None:
    """Let the process that runs are forked from begin to import; nothing if it lives.

    Args:
        environment: Its environment variables, beside those of this process.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload([_PRELOADED])
    with _environment(environment), _no_output():
        forkserver.ensure_running()


class ForkedProcess:
    """The process of a run, forked from the server; it ends with the harness.

    It holds one end of a pipe to the harness; when the harness ends, the system closes it.

    Args:
        run: The run.
        environment: Environment variables, beside those of the server.
    """

    def __init__(self, run: Run, environment: Mapping[str, str]) -> None:
        self._process = start_forked(_work, (run.folder, run.log, dict(environment)))
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.sentinel: int = self._process.sentinel

    def code(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        return self._process.exitcode

    def reap(self) -> None:
        """Wait for the end of a process that was killed."""
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


def _work(folder: Path, log: Path, environment: Mapping[str, str]) -> NoReturn:
    """What a forked process does."""
    os.setsid()
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.update(environment)

    from wrs_mm.bench.runs.signals import exit_with_parent, listen_to_signals
    from wrs_mm.bench.runs.worker import main_and_exit

    listen_to_signals()
    harness = multiprocessing.parent_process()
    assert harness is not None
    exit_with_parent(harness.join)
    main_and_exit(folder)


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
