"""Commands that tests start: read while they run, waited for together, and shown when they hang.

A test that waits for one process while another's pipe runs full, or for one that waits for another that
has failed, hangs without a word. So every pipe is read from the start, and whoever waits for several
commands hears of the first that fails.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

PATIENCE = 600.0
"""Seconds after which a command hangs; a loaded machine is no reason to give up sooner."""


class Spoken:
    """What a command says, and where it stands when it hangs: of commands however they are started."""

    args: Any
    pid: int
    returncode: int | None
    _out: Reader
    _err: Reader

    def communicate(self, input: None = None, timeout: float | None = PATIENCE) -> tuple[str, str]:
        """Wait until the command has ended and nothing that it started holds its output any more.

        Raises:
            AssertionError: It hangs. What it has said is shown, and where its processes stand.
        """
        assert input is None
        end = time.monotonic() + (PATIENCE if timeout is None else timeout)
        try:
            self.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"hangs: {self.args}\n{self.post_mortem()}") from None
        for reader in (self._out, self._err):
            reader.join(max(0.1, end - time.monotonic()))
            assert not reader.is_alive(), f"something that it started lives on: {self.args}\n{self.said()}"
        return self._out.text(), self._err.text()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises ``subprocess.TimeoutExpired``."""
        raise NotImplementedError

    def printed(self) -> str:
        """What the command has written to stdout so far."""
        return self._out.text()

    def said(self) -> str:
        """The ends of what the command has printed so far."""
        return f"--- stdout\n{self._out.text()[-3000:]}\n--- stderr\n{self._err.text()[-6000:]}"

    def post_mortem(self) -> str:
        """End the command and all that it started; what it has said, and at which lines that was."""
        try:
            family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        # The innermost first: it is what the others wait for.
        for process in reversed(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGABRT)
        psutil.wait_procs(family, timeout=10)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.wait()
        for reader in (self._out, self._err):
            reader.join(10)
        return self.said()


class Command(Spoken, subprocess.Popen[str]):
    """A command that leads a process group of its own, and whose output is collected as it comes.

    Args:
        arguments: The program and its arguments.
        cwd: Where it runs.
        environment: Variables beside those of this process.
    """

    wait = subprocess.Popen.wait

    def __init__(
        self, arguments: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        # Python's processes answer SIGABRT with the lines that they stand at.
        variables = {**os.environ, "PYTHONFAULTHANDLER": "1", **(environment or {})}
        with _ctrl_c_is_heard():
            super().__init__(
                arguments,
                cwd=cwd,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        assert self.stdout is not None and self.stderr is not None
        self._out, self._err = Reader(self.stdout), Reader(self.stderr)


class Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, pipe: IO[str]) -> None:
        super().__init__(daemon=True)
        self._pipe, self._parts = pipe, list[str]()
        self.start()

    def run(self) -> None:
        with self._pipe:
            for line in self._pipe:
                self._parts.append(line)

    def text(self) -> str:
        return "".join(self._parts)


@contextlib.contextmanager
def _ctrl_c_is_heard() -> Iterator[None]:
    """Undo, for what starts inside, what a shell did that ran the tests with ``&``: they ignore Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def finish(command: Spoken, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Wait for a command, whatever its end is."""
    out, err = command.communicate(timeout=timeout)
    return subprocess.CompletedProcess(command.args, command.returncode, out, err)


def succeed(done: subprocess.CompletedProcess[str]) -> None:
    """Hold that a command ended with status 0."""
    assert done.returncode == 0, f"{done.args}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"


def succeed_together(*commands: Spoken, patience: float = PATIENCE) -> None:
    """Hold that commands which wait for each other all end with status 0.

    The first that fails ends the others, which would wait for it, and is shown.
    """
    end = time.monotonic() + patience
    try:
        while any(command.poll() is None for command in commands):
            for command in commands:
                assert command.poll() in (None, 0), (
                    f"status {command.returncode}: {command.args}\n{command.said()}"
                )
            assert time.monotonic() < end, "\n".join(
                f"hangs: {command.args}\n{command.post_mortem()}"
                for command in commands
                if command.poll() is None
            )
            time.sleep(0.1)
    finally:
        for command in commands:
            if command.poll() is None:
                command.post_mortem()
    for command in commands:
        succeed(finish(command))


def run(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is."""
    return finish(Command(arguments, cwd=cwd, environment=environment), timeout)


@contextlib.contextmanager
def held_port() -> Iterator[str]:
    """A port that is free until somebody who was told of it opens it.

    It stays bound here, so that the system gives it to nobody else; that a server may bind it as well is
    what ``SO_REUSEADDR`` allows while nobody listens.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("", 0))
        yield str(holder.getsockname()[1])


def wait_until(reached: Callable[[], bool], command: Spoken, what: str, patience: float = PATIENCE) -> None:
    """Wait until something is so while a command runs; fail where it ends first or never gets there.

    Args:
        reached: Says whether it is so.
        command: What has to bring it about.
        what: In words, for the failure.
        patience: Seconds.
    """
    end = time.monotonic() + patience
    while not reached():
        if command.poll() is not None and not reached():
            raise AssertionError(f"ended with status {command.returncode} before {what}\n{command.said()}")
        assert time.monotonic() < end, f"waited in vain until {what}\n{command.post_mortem()}"
        time.sleep(0.05)
