"""The table of ``bench status``."""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.snapshot import SNAPSHOT_EVERY, RunSnapshot, duration, snapshot, summary_line
from wrs_mm.terminal import Column, Section, table_lines
from wrs_mm.values import one_line, several

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
    Status.PAUSED: "dim",
    Status.STOPPED: "dim",
    Status.DIVERGED: "yellow",
    Status.DONE: "green",
}
"""Color of each state."""

_INTEREST = list(_STYLE)
"""Which runs a person wants to see first, where there is no room for all."""


def status_table(runs: Sequence[Run], width: int, room: int | None = None, to_come: int = 0) -> Group:
    """:func:`status_rows` as a table with a heading for each recipe, and the whole in its last line.

    Args:
        runs: The runs, in the plan's order.
        width: Of the terminal.
        room: How many lines there may be; of more runs, those that nobody needs to look at are left out.
        to_come: How many runs will be known when trials are through.
    """
    snapshots = [snapshot(run) for run in runs]
    slots = max(1, sum(state.status is Status.RUNNING for state in snapshots))
    foot = Text(f"{summary_line(snapshots, slots)}{_to_come_text(to_come)}", "italic")
    rows = [_section_and_row(run, state) for run, state in zip(runs, snapshots, strict=True)]
    lines = [*_lines(rows, width), foot]
    if room is None or len(lines) <= room or len(runs) < 2:
        return Group(*lines)
    urgent = sorted(range(len(runs)), key=lambda index: _INTEREST.index(snapshots[index].status))

    def shortened(count: int) -> list[Text]:
        """The table of so many runs."""
        shown = [rows[index] for index in sorted(urgent[:count])]
        return [*_lines(shown, width), Text(f"… and {len(runs) - count} more"), foot]

    # More runs never take fewer lines.
    counts = range(1, len(runs))
    fitting = bisect.bisect_right(counts, room, key=lambda count: len(shortened(count)))
    return Group(*shortened(counts[max(0, fitting - 1)]))


def _to_come_text(to_come: int) -> str:
    return f"; {several(to_come, 'final run')} to come when their trials are through" if to_come else ""


def _section_and_row(run: Run, state: RunSnapshot) -> tuple[str, list[Text]]:
    """The heading that a run stands under, and its cells; names, reasons and metrics are no markup."""
    identity = run.identity()
    # A folder that does not say what it is, or was given another name, stands under its own.
    spec = identity.spec if identity and identity.spec.id == run.name else None
    recipe, name = (spec.recipe, spec.name_in_recipe) if spec else ("", run.name)
    _, status, *cells, left, detail = _row(run, state)
    remark = ", ".join([*([f"{left} left"] if left else []), *([detail] if detail else [])])
    if spec is not None and spec.trial is not None:
        recipe = f"{recipe}, trials"
    return recipe, [Text(one_line(name)), Text(status, _STYLE[state.status]), *map(Text, [*cells, remark])]


def _lines(rows: Sequence[tuple[str, list[Text]]], width: int) -> list[Text]:
    """Runs recipe by recipe."""
    *names, _, _ = STATUS_COLUMNS
    columns = [*(Column(name, right=name in ("trained", "time")) for name in names), Column("", remark=True)]
    sections: dict[str, list[list[Text]]] = {}
    for recipe, row in rows:
        sections.setdefault(recipe, []).append(row)
    return table_lines(columns, [Section(recipe, own) for recipe, own in sections.items()], width)


def watch_status(
    list_runs: Callable[[], Sequence[Run]],
    console: Console,
    watch: bool,
    to_come: Callable[[], int] = lambda: 0,
) -> None:
    """Show runs, once or until none of them is left to end.

    Args:
        list_runs: Lists the runs; called at each snapshot, because a plan may grow.
        console: Where to; a live table on a terminal, tab-separated lines elsewhere.
        watch: Go on showing. Elsewhere than on a terminal, lines come again when they change.
        to_come: Says how many runs will be known when trials are through.
    """
    if not console.is_terminal:
        shown: list[tuple[str, ...]] = []
        while True:
            rows = status_rows(list_runs())
            for row in rows:
                if row not in shown:
                    print("\t".join(row), flush=True)
            shown = rows
            if not watch or not (_to_come(list_runs()) or to_come()):
                return
            time.sleep(SNAPSHOT_EVERY)
    if not watch:
        console.print(status_table(list_runs(), console.width, to_come=to_come()))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            # The last line is the cursor's.
            table = status_table(list_runs(), console.width, console.height - 1, to_come())
            live.update(table, refresh=True)
            if not (_to_come(list_runs()) or to_come()):
                return
            time.sleep(SNAPSHOT_EVERY)


def _to_come(runs: Sequence[Run]) -> bool:
    """Whether somebody works on a run, or one waits for its turn behind such a run."""
    return any(run.status() in (Status.RUNNING, Status.PENDING) and not run.cannot_begin() for run in runs)
