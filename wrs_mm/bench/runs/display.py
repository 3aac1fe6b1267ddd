"""What a person sees while a benchmark runs, and the table of ``bench status``.

Everything shown is read from the runs' folders, so that the same code serves the harness and
somebody who looks from elsewhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.runs.records import Status

if TYPE_CHECKING:
    from typing import Self

_LINE_EVERY = 15.0
"""Seconds between two plain lines about one run."""

_LOOK_EVERY = 1.0
"""Seconds between two looks at the folders."""


class Sight(NamedTuple):
    """One run as it stands now.

    Attributes:
        status: Its state.
        fraction: Share of the training that is done, 0 to 1.
        metric: What its last validation gave, with the metric's name; empty before the first.
        detail: Where it is, in a few words.
        seconds: Wall time spent on it.
        seconds_left: Estimate for the rest, None while unknown.
    """

    status: Status
    fraction: float
    metric: str
    detail: str
    seconds: float
    seconds_left: float | None


def look(run: Run) -> Sight:
    """Read a run's folder."""
    status = run.status()
    progress = run.progress()
    result = run.result()
    name, value = progress.metric, progress.value
    if result is not None and result.metrics:
        name = next((main for main in MAIN.get(result.task, ()) if main in result.metrics), None)
        value = result.metrics[name] if name else None
    metric = f"{name} {value:.2f}" if value is not None else ""
    if result is not None and status is not Status.RUNNING:
        fraction = float(status.final)
        if not status.final and progress.iterations:
            fraction = progress.iteration / progress.iterations
        return Sight(status, fraction, metric, result.reason or "", result.seconds, None)
    fraction = progress.iteration / progress.iterations if progress.iterations else 0.0
    detail = ""
    if progress.iterations:
        detail = f"{progress.phase} {progress.iteration}/{progress.iterations}"
    elif status is Status.RUNNING:
        detail = progress.phase
    if progress.loss is not None:
        detail += f" loss {progress.loss:.4g}"
    return Sight(status, fraction, metric, detail, progress.seconds, progress.seconds_left)


def time_left(sights: Sequence[Sight], slots: int) -> float | None:
    """Seconds until all runs are through, None while nothing can be said.

    A run that has not begun is taken to last as long as the mean of those that are done or have an
    estimate; the sum is spread over the slots, but lasts no less than the longest run under way.
    """
    lengths = [s.seconds for s in sights if s.status is Status.DONE]
    under_way = [s for s in sights if s.status is Status.RUNNING]
    lengths += [s.seconds + s.seconds_left for s in under_way if s.seconds_left is not None]
    if not lengths:
        return None if any(not s.status.final for s in sights) else 0.0
    mean = math.fsum(lengths) / len(lengths)
    rest = [s.seconds_left if s.seconds_left is not None else max(0.0, mean - s.seconds) for s in under_way]
    waiting = sum(s.status in (Status.PENDING, Status.INTERRUPTED) for s in sights)
    longest = max([*rest, mean if waiting else 0.0], default=0.0)
    return max(longest, (math.fsum(rest) + waiting * mean) / slots)


def duration(seconds: float | None) -> str:
    """``1:02:03`` or ``2:03``; «–» for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _overall(sights: Sequence[Sight], slots: int) -> str:
    finished = sum(s.status.final for s in sights)
    failed = sum(s.status is Status.FAILED for s in sights)
    text = f"{finished} of {len(sights)} runs finished"
    if failed:
        text += f", {failed} failed"
    return f"{text}, {duration(time_left(sights, slots))} left"


class _Display:
    """Looks at the runs now and then, and shows what it sees; a context.

    Args:
        runs: All runs of the benchmark.
        slots: How many are under way at once.
    """

    def __init__(self, runs: Sequence[Run], slots: int) -> None:
        self._runs = runs
        self._slots = slots
        self._looked = -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._looked = -math.inf
        self.update()

    def update(self) -> None:
        """Look and show, unless the last look was a moment ago."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            self._show([look(run) for run in self._runs], now)

    def _show(self, sights: Sequence[Sight], now: float) -> None:
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

    def _show(self, sights: Sequence[Sight], now: float) -> None:
        for run, sight in zip(self._runs, sights, strict=True):
            status, when = self._shown.get(run.name, (Status.PENDING, now))
            changed = sight.status is not status
            due = sight.status is Status.RUNNING and now - when >= _LINE_EVERY
            if not changed and not due:
                continue
            self._shown[run.name] = (sight.status, now)
            detail = f": {sight.detail}" if sight.detail else ""
            left = f", {duration(sight.seconds_left)} left" if sight.seconds_left else ""
            overall = _overall(sights, self._slots)
            self._write(f"{run.name} {sight.status.value}{detail}{left} [{overall}]")


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
        self._ended = {run.name for run in runs if look(run).status.final}

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

    def _show(self, sights: Sequence[Sight], now: float) -> None:
        for run, sight in zip(self._runs, sights, strict=True):
            if sight.status is Status.RUNNING:
                if run.name not in self._tasks:
                    self._tasks[run.name] = self._bars.add_task(run.name, total=1.0, detail="")
                left = f"  {duration(sight.seconds_left)} left" if sight.seconds_left else ""
                self._bars.update(self._tasks[run.name], completed=sight.fraction, detail=sight.detail + left)
                continue
            if run.name in self._tasks:
                self._bars.remove_task(self._tasks.pop(run.name))
            if run.name not in self._ended and sight.status is not Status.PENDING:
                self._ended.add(run.name)
                reason = f": {sight.detail}" if sight.detail else ""
                took = duration(sight.seconds)
                line = f"{run.name} {sight.status.value} after {took}{reason}"
                self._console.print(line, markup=False, highlight=False)
        done = math.fsum(sight.fraction for sight in sights)
        self._bars.update(self._all, completed=done, detail=_overall(sights, self._slots))
        self._bars.refresh()


def make_display(runs: Sequence[Run], slots: int, console: Console) -> PlainDisplay | RichDisplay:
    """Bars on a terminal, lines elsewhere."""
    if console.is_terminal:
        return RichDisplay(runs, slots, console)
    return PlainDisplay(runs, slots, lambda line: print(line, flush=True))


STATUS_COLUMNS = ("run", "state", "trained", "metric", "time", "left", "")
"""What ``bench status`` shows of each run; the last column is what else there is to say."""


def status_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """For each run, :data:`STATUS_COLUMNS` as text."""
    return [_row(run, look(run)) for run in runs]


def _row(run: Run, sight: Sight) -> tuple[str, ...]:
    left = duration(sight.seconds_left) if sight.seconds_left and sight.status is Status.RUNNING else ""
    percent = f"{math.floor(100 * sight.fraction)}%"
    took = duration(sight.seconds)
    return (run.name, sight.status.value, percent, sight.metric, took, left, sight.detail)


_STYLE = {
    Status.RUNNING: "cyan",
    Status.FAILED: "red",
    Status.INTERRUPTED: "yellow",
    Status.PENDING: "dim",
    Status.DIVERGED: "yellow",
    Status.DONE: "green",
}


_INTEREST = list(_STYLE)
"""Which runs a person wants to see first, where there is no room for all."""


def status_table(runs: Sequence[Run], room: int | None = None) -> Table:
    """:func:`status_rows` as a table, and the whole in its last line.

    Args:
        runs: The runs, in the plan's order.
        room: How many rows there may be; of more runs, those that nobody needs to look at are left out.
    """
    table = Table(box=None, pad_edge=False)
    for name in STATUS_COLUMNS:
        right = name in ("trained", "time", "left")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    sights = [look(run) for run in runs]
    pairs = list(zip(runs, sights, strict=True))
    left_out = 0
    if room is not None and len(pairs) > room:
        shown = sorted(pairs, key=lambda pair: _INTEREST.index(pair[1].status))[: max(1, room - 1)]
        left_out = len(pairs) - len(shown)
        pairs = [pair for pair in pairs if pair in shown]
    for run, sight in pairs:
        # Names, reasons and metrics are no markup.
        cells = [Text(cell) for cell in _row(run, sight)]
        cells[1].stylize(_STYLE[sight.status])
        table.add_row(*cells)
    if left_out:
        table.add_row(Text(f"… and {left_out} more"))
    slots = max(1, sum(sight.status is Status.RUNNING for sight in sights))
    table.caption = Text(_overall(sights, slots))
    table.caption_justify = "left"
    return table


def watch_status(find: Callable[[], Sequence[Run]], console: Console, watch: bool) -> None:
    """Show runs, once or until none of them is left to end.

    Args:
        find: Lists the runs; called at each look, because a plan may grow.
        console: Where to; a live table on a terminal, tab-separated lines elsewhere.
        watch: Go on showing. Elsewhere than on a terminal, lines come again when they change.
    """
    if not console.is_terminal:
        shown: list[tuple[str, ...]] = []
        while True:
            rows = status_rows(find())
            for row in rows:
                if row not in shown:
                    print("\t".join(row), flush=True)
            shown = rows
            if not watch or not _to_come(find()):
                return
            time.sleep(_LOOK_EVERY)
    if not watch:
        console.print(status_table(find()))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            # Two lines of head and foot, and the line of the cursor.
            live.update(status_table(find(), room=console.height - 3), refresh=True)
            if not _to_come(find()):
                return
            time.sleep(_LOOK_EVERY)


def _to_come(runs: Sequence[Run]) -> bool:
    """Whether somebody works on a run, or one waits for its turn behind such a run."""
    return any(run.status() in (Status.RUNNING, Status.PENDING) for run in runs)
