"""Where runs go.

An executor only starts, watches and stops processes; what a run is and how it ended stands in its
folder. The interface is submitit's, reduced to what the harness needs.
"""

from __future__ import annotations

from typing import Protocol

from wrs_mm.bench.runs import Run


class Job(Protocol):
    """One attempt at a run."""

    def ended(self) -> str | None:
        """How its process ended (``exit status 1``, ``killed by SIGKILL``); None while it lives."""

    def stop(self) -> None:
        """Ask it to stop; it writes its result as ``interrupted`` and ends."""

    def kill(self) -> None:
        """End it and every process that it started, at once."""


class Executor(Protocol):
    """A place with room for some runs at once."""

    @property
    def slots(self) -> int:
        """How many runs may be under way at once."""

    def submit(self, run: Run) -> Job:
        """Start working on a prepared run."""
