"""The table of ``bench status``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.snapshot import SNAPSHOT_EVERY, RunSnapshot, duration, snapshot, summary_line

STATUS_COLUMNS = ("run", "state", "trained", "metric", "time", "left", "")
"""What ``bench status`` shows of each run; the last column is what else there is to say."""


def status_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """For each run, :data:`STATUS_COLUMNS` as text."""
    return [_row(run, snapshot(run)) for run in runs]


def _row(run: Run, state: RunSnapshot) -> tuple[str, ...]:
    left = duration(state.seconds_left) if state.seconds_left and state.status is Status.RUNNING else ""
    percent = f"{math.floor(100 * state.fraction)}%"
    took = duration(state.seconds)
    return (run.name, state.status.value, percent, state.metric, took, left, state.detail)


_STYLE = {
    Status.RUNNING: "cyan",
    Status.FAILED: "red",
    Status.INTERRUPTED: "yellow",
    Status.PENDING: "dim",
    Status.DIVERGED: "yellow",
    Status.DONE: "green",
}
"""Color of each state."""

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
    snapshots = [snapshot(run) for run in runs]
    pairs = list(zip(runs, snapshots, strict=True))
    left_out = 0
    if room is not None and len(pairs) > room:
        shown = sorted(pairs, key=lambda pair: _INTEREST.index(pair[1].status))[: max(1, room - 1)]
        left_out = len(pairs) - len(shown)
        pairs = [pair for pair in pairs if pair in shown]
    for run, state in pairs:
        # Names, reasons and metrics are no markup.
        cells = [Text(cell) for cell in _row(run, state)]
        cells[1].stylize(_STYLE[state.status])
        table.add_row(*cells)
    if left_out:
        table.add_row(Text(f"… and {left_out} more"))
    slots = max(1, sum(state.status is Status.RUNNING for state in snapshots))
    table.caption = Text(summary_line(snapshots, slots))
    table.caption_justify = "left"
    return table


def watch_status(list_runs: Callable[[], Sequence[Run]], console: Console, watch: bool) -> None:
    """Show runs, once or until none of them is left to end.

    Args:
        list_runs: Lists the runs; called at each snapshot, because a plan may grow.
        console: Where to; a live table on a terminal, tab-separated lines elsewhere.
        watch: Go on showing. Elsewhere than on a terminal, lines come again when they change.
    """
    if not console.is_terminal:
        shown: list[tuple[str, ...]] = []
        while True:
            rows = status_rows(list_runs())
            for row in rows:
                if row not in shown:
                    print("\t".join(row), flush=True)
            shown = rows
            if not watch or not _to_come(list_runs()):
                return
            time.sleep(SNAPSHOT_EVERY)
    if not watch:
        console.print(status_table(list_runs()))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            # Two lines of head and foot, and the line of the cursor.
            live.update(status_table(list_runs(), room=console.height - 3), refresh=True)
            if not _to_come(list_runs()):
                return
            time.sleep(SNAPSHOT_EVERY)


def _to_come(runs: Sequence[Run]) -> bool:
    """Whether somebody works on a run, or one waits for its turn behind such a run."""
    return any(run.status() in (Status.RUNNING, Status.PENDING) for run in runs)
