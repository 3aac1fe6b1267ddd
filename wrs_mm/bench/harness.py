"""The loop that keeps an executor's slots full until every run has a result."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from wrs_mm.bench.executors import Executor, Job
from wrs_mm.bench.runs import Identity, Result, Run, Status

_POLL = 0.2
"""Seconds between two looks at the processes."""

_GRACE = 10.0
"""Seconds that runs get to write their result after they were asked to stop."""


class Display(Protocol):
    """Shows a person how the benchmark goes."""

    def update(self) -> None:
        """Look at the runs again; called a few times a second."""


def run_all(runs: Sequence[Run], executor: Executor, display: Display) -> None:
    """Bring every run to a result; runs that have a final one are not touched.

    A run that fails does not keep the others from running. On an exception, KeyboardInterrupt
    included, all processes are stopped, unfinished runs are marked as interrupted, and the
    exception goes on.

    Args:
        runs: Prepared runs, in the order in which they start.
        executor: Where they go.
        display: Shown to whoever waits.
    """
    waiting = deque(run for run in runs if not _is_final(run))
    active: dict[Run, Job] = {}
    try:
        while waiting or active:
            while waiting and len(active) < executor.slots:
                run = waiting.popleft()
                run.clear_result()
                active[run] = executor.submit(run)
            display.update()
            time.sleep(_POLL)
            for run, job in list(active.items()):
                ended = job.ended()
                if ended is not None:
                    # Processes that the worker left behind would hold its slot's processors.
                    job.kill()
                    del active[run]
                    _settle(run, Status.FAILED, ended)
        display.update()
    except BaseException:
        _stop(active)
        raise


def _is_final(run: Run) -> bool:
    result = run.result()
    return result is not None and result.status.final


def _stop(active: dict[Run, Job]) -> None:
    """Stop all jobs: first asked, then killed."""
    for job in active.values():
        job.stop()
    deadline = time.monotonic() + _GRACE
    try:
        while time.monotonic() < deadline and any(job.ended() is None for job in active.values()):
            time.sleep(_POLL)
    finally:
        for run, job in active.items():
            job.kill()
            _settle(run, Status.INTERRUPTED, "stopped with the benchmark")


def _settle(run: Run, status: Status, reason: str) -> None:
    """Write the result of a run whose process ended without writing one."""
    if run.result() is not None:
        return
    identity = run.identity()
    assert identity is not None, "only prepared runs are started"
    run.write_result(_unwritten(run, identity, status, reason))


def _unwritten(run: Run, identity: Identity, status: Status, reason: str) -> Result:
    progress = run.progress()
    return Result(
        status=status,
        task=identity.task,
        dataset=identity.dataset,
        config_hash=identity.config_hash,
        iteration=progress.iteration,
        reason=reason,
        log_tail=run.log_tail() if status is Status.FAILED else [],
        seconds=progress.seconds,
    )
