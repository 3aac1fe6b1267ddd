"""How runs stand at one moment, read from their folders, and the time that is left.

So the same code serves the harness and somebody who looks from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.runs.records import Status

SNAPSHOT_EVERY = 1.0
"""Seconds between two snapshots, where somebody watches."""


class RunSnapshot(NamedTuple):
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


def snapshot(run: Run) -> RunSnapshot:
    """How a run stands, from its folder."""
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
        return RunSnapshot(status, fraction, metric, result.account(), result.seconds, None)
    fraction = progress.iteration / progress.iterations if progress.iterations else 0.0
    detail = ""
    if progress.iterations:
        detail = f"{progress.phase} {progress.iteration}/{progress.iterations}"
    elif status is Status.RUNNING:
        detail = progress.phase
    elif run.after is not None and not run.after.is_final():
        detail = _waiting(run.after)
    if progress.loss is not None:
        detail += f" loss {progress.loss:.4g}"
    return RunSnapshot(status, fraction, metric, detail, progress.seconds, progress.seconds_left)


def _waiting(pretraining: Run) -> str:
    """Why a run that has not begun waits."""
    identity = pretraining.identity()
    name = identity.spec.id if identity else pretraining.name
    if pretraining.status() is Status.FAILED:
        return f"not begun: its pretraining {name} failed"
    return f"waits for its pretraining {name}"


def time_left(snapshots: Sequence[RunSnapshot], slots: int) -> float | None:
    """Seconds until all runs are through, None while nothing can be said.

    A run that has not begun is taken to last as long as the mean of those that are done or have an
    estimate; the sum is spread over the slots, but lasts no less than the longest run under way.
    """
    lengths = [s.seconds for s in snapshots if s.status is Status.DONE]
    under_way = [s for s in snapshots if s.status is Status.RUNNING]
    lengths += [s.seconds + s.seconds_left for s in under_way if s.seconds_left is not None]
    if not lengths:
        return None if any(not s.status.final for s in snapshots) else 0.0
    mean = math.fsum(lengths) / len(lengths)
    rest = [s.seconds_left if s.seconds_left is not None else max(0.0, mean - s.seconds) for s in under_way]
    waiting = sum(s.status in (Status.PENDING, Status.INTERRUPTED) for s in snapshots)
    longest = max([*rest, mean if waiting else 0.0], default=0.0)
    return max(longest, (math.fsum(rest) + waiting * mean) / slots)


def duration(seconds: float | None) -> str:
    """``1:02:03`` or ``2:03``; «–» for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary_line(snapshots: Sequence[RunSnapshot], slots: int) -> str:
    """How the whole stands, in one line.

    Args:
        snapshots: Of all runs.
        slots: How many are under way at once.
    """
    finished = sum(s.status.final for s in snapshots)
    failed = sum(s.status is Status.FAILED for s in snapshots)
    text = f"{finished} of {len(snapshots)} runs finished"
    if failed:
        text += f", {failed} failed"
    return f"{text}, {duration(time_left(snapshots, slots))} left"
