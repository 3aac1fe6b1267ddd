"""Where runs go.

An executor only starts, watches and stops processes; what a run is and how it ended stands in its
folder. The interface is submitit's, reduced to what the harness needs.

``options`` says what was asked for, ``loop`` keeps an executor's slots full. ``local`` is this machine, its
processes ``forked`` (from ``preloaded``) or ``spawned`` (several of them by ``torchrun``); ``slurm`` is a
cluster.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from wrs_mm.bench.runs.folder import Run


class Ended(NamedTuple):
    """How an attempt ended.

    Attributes:
        how: In a few words: ``exit status 1``, ``killed by SIGKILL``.
        interrupted: Whether somebody took it back; if it has no result either, it is not a failure.
    """

    how: str
    interrupted: bool = False


class Job(Protocol):
    """One attempt at a run."""

    def ended(self) -> Ended | None:
        """How it ended; None while it lives."""

    def stop(self) -> None:
        """Ask it to stop; it writes its result as ``interrupted`` and ends."""

    def kill(self) -> None:
        """End it and every process that it started, at once."""


class Executor(Protocol):
    """A place with room for some runs at once."""

    detached: bool
    """Whether its jobs go on when the harness ends."""

    processes: int
    """How many train one run together."""

    @property
    def slots(self) -> int:
        """How many runs may be under way at once."""

    def prepare(self) -> None:
        """Get ready, once it is clear that there is something to run; may be called any number of times."""

    def submit(self, run: Run) -> Job:
        """Start working on a prepared run, or find the attempt that is under way."""

    def wait(self, seconds: float) -> None:
        """Wait so long, or less if a job ends."""
