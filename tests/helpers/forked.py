"""Calls of ``wrs-mm``, and trainings, in processes forked from one that has imported everything.

Importing torch and both toolboxes takes seconds of the CPU, and each call of ``wrs-mm bench run`` does so
twice: for itself, and for the process that its runs are forked from. Here both are forks; what comes after
the imports is what a user's call does. Tests of how a process starts begin a :class:`commands.Command`.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection, forkserver, util
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any
from unittest import mock

from commands import Reader, Spoken

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
"""Read when a process starts: what the harness sets for the process that its runs are forked from."""

_own_server: int | None = None


def start_forked(target: Callable[..., None], args: tuple[Any, ...]) -> BaseProcess:
    """Call a function in a process that has imported everything."""
    global _own_server
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded_commands"])
    server = forkserver._forkserver
    if server._forkserver_pid != _own_server:
        # A test of the package's own has left it, which has imported something else or nothing.
        server._stop()
    # Python 3.11 hands no sys.path on to the process that imports, and is silent on what it does not find.
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    with mock.patch.dict(os.environ, {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, paths))}):
        server.ensure_running()
    _own_server = server._forkserver_pid
    process = context.Process(target=target, args=args)
    process.start()
    return process


class ForkedCommand(Spoken):
    """A call of ``wrs-mm`` that leads a process group of its own, to be used like :class:`commands.Command`.

    Args:
        arguments: Those after the program's name.
        cwd: Where it runs.
        environment: Variables beside those of this process.
    """

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.args = ["wrs-mm", *arguments]
        pipes = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
        writers = [writer for _, writer in pipes]
        variables = {**os.environ, **(environment or {})}
        self._process = start_forked(_call, (list(arguments), cwd, variables, writers))
        for writer in writers:
            writer.close()
        self._out, self._err = (Reader(_text(reader)) for reader, _ in pipes)
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: It does not come in these seconds.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


@atexit.register
def _end_what_tests_have_left() -> None:
    # multiprocessing waits for it at exit: what a failed test has left, held half-way, would go on for good.
    for process in multiprocessing.active_children():
        process.kill()


def _text(reader: connection.Connection) -> IO[str]:
    with reader:
        return os.fdopen(os.dup(reader.fileno()), errors="replace")


def _call(
    arguments: list[str], cwd: Path, variables: Mapping[str, str], writers: list[connection.Connection]
) -> None:
    """Become what a call of ``wrs-mm`` is when it has imported everything, and go on as that."""
    assert "preloaded_commands" in sys.modules, "it was forked before anything was imported"
    os.setsid()
    for stream, writer in enumerate(writers, start=1):
        os.dup2(writer.fileno(), stream)
        writer.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["wrs-mm", *arguments]
    sys.path[:0] = [path for path in variables.get("PYTHONPATH", "").split(os.pathsep) if path]
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The fork server that it comes from is none of its own: its first run makes it start one.
    os.close(forkserver._forkserver._forkserver_alive_fd)
    forkserver._forkserver.__init__()
    util.spawnv_passfds = _fork_the_fork_server

    from wrs_mm.cli.main import run_and_exit

    run_and_exit(arguments)


_spawnv_passfds = util.spawnv_passfds


def _fork_the_fork_server(path: Any, args: Sequence[Any], passfds: Sequence[int]) -> int:
    """Stand in for what multiprocessing starts a fork server with: a new interpreter that imports it all."""
    if "multiprocessing.forkserver" not in str(args[-1]):
        return _spawnv_passfds(path, args, passfds)
    pid = os.fork()
    if pid == 0:
        try:
            # A new interpreter would inherit nothing else; a lock that lived on in it would never be let go.
            for name in os.listdir("/proc/self/fd"):
                if int(name) not in (0, 1, 2, *passfds):
                    with contextlib.suppress(OSError):
                        os.close(int(name))
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            forkserver._forkserver.__init__()
            forkserver.main(*passfds, [])
        finally:
            os._exit(0)
    return pid
