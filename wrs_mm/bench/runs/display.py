"""What a person sees while a benchmark runs: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.snapshot import SNAPSHOT_EVERY, RunSnapshot, duration, snapshot, summary_line

if TYPE_CHECKING:
    from typing import Self

_LINE_EVERY = 15.0
"""Seconds between two plain lines about one run."""


class _Display:
    """Takes snapshots of the runs now and then, and shows them; a context.

    Args:
        runs: All runs of the benchmark.
        slots: How many are under way at once.
    """

    def __init__(self, runs: Sequence[Run], slots: int) -> None:
        self._runs = runs
        self._slots = slots
        self._taken = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._taken = -math.inf
        self.update()

    def update(self) -> None:
        """Take snapshots and show them, unless the last snapshot was a moment ago."""
        now = time.monotonic()
        if now - self._taken >= SNAPSHOT_EVERY:
            self._taken = now
            self._show([snapshot(run) for run in self._runs], now)

    def _show(self, snapshots: Sequence[RunSnapshot], now: float) -> None:
        raise NotImplementedError


class PlainDisplay(_Display):
    """Lines of text, for logs and pipes: one when a run changes its state, else one in a while.

    Args:
        runs: All runs of the benchmark.
        slots: How many are under way at once.
        write: Takes a line.
    """

    def __init__(self, runs: Sequence[Run], slots: int, write: Callable[[str], None]) -> None:
        super().__init__(runs, slots)
        self._write = write
        self._shown: dict[str, tuple[Status, float]] = {}

    def _show(self, snapshots: Sequence[RunSnapshot], now: float) -> None:
        for run, state in zip(self._runs, snapshots, strict=True):
            status, when = self._shown.get(run.name, (Status.PENDING, now))
            changed = state.status is not status
            due = state.status is Status.RUNNING and now - when >= _LINE_EVERY
            if not changed and not due:
                continue
            self._shown[run.name] = (state.status, now)
            detail = f": {state.detail}" if state.detail else ""
            left = f", {duration(state.seconds_left)} left" if state.seconds_left else ""
            overall = summary_line(snapshots, self._slots)
            self._write(f"{run.name} {state.status.value}{detail}{left} [{overall}]")


class RichDisplay(_Display):
    """A progress bar for each run under way, one for the whole, and a line for each that ended.

    Args:
        runs: All runs of the benchmark.
        slots: How many are under way at once.
        console: Where to draw.
    """

    def __init__(self, runs: Sequence[Run], slots: int, console: Console) -> None:
        super().__init__(runs, slots)
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}", markup=False),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._all = self._bars.add_task("all", total=len(runs), detail="")
        self._ended = {run.name for run in runs if snapshot(run).status.final}

    def __enter__(self) -> Self:
        self._bars.start()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._bars.stop()

    def _show(self, snapshots: Sequence[RunSnapshot], now: float) -> None:
        for run, state in zip(self._runs, snapshots, strict=True):
            if state.status is Status.RUNNING:
                if run.name not in self._tasks:
                    self._tasks[run.name] = self._bars.add_task(run.name, total=1.0, detail="")
                left = f"  {duration(state.seconds_left)} left" if state.seconds_left else ""
                self._bars.update(self._tasks[run.name], completed=state.fraction, detail=state.detail + left)
                continue
            if run.name in self._tasks:
                self._bars.remove_task(self._tasks.pop(run.name))
            if run.name not in self._ended and state.status is not Status.PENDING:
                self._ended.add(run.name)
                reason = f": {state.detail}" if state.detail else ""
                took = duration(state.seconds)
                line = f"{run.name} {state.status.value} after {took}{reason}"
                self._console.print(line, markup=False, highlight=False)
        done = math.fsum(state.fraction for state in snapshots)
        self._bars.update(self._all, completed=done, detail=summary_line(snapshots, self._slots))
        self._bars.refresh()


def make_display(runs: Sequence[Run], slots: int, console: Console) -> PlainDisplay | RichDisplay:
    """Bars on a terminal, lines elsewhere."""
    if console.is_terminal:
        return RichDisplay(runs, slots, console)
    return PlainDisplay(runs, slots, lambda line: print(line, flush=True))
