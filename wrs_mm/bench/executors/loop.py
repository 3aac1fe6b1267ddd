"""The loop that keeps an executor's slots full until every run has ended."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from filelock import FileLock, Timeout

from wrs_mm.bench.executors import Ended, Executor, Job
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Result, Status

POLL = 0.2
"""Seconds between two looks at the processes, unless one ends before."""

GRACE = 10.0
"""Seconds that runs get to write their result after they were asked to stop."""

_LET_GO = 5.0
"""Seconds that a process which has ended may still seem to hold its run."""


class Display(Protocol):
    """Shows a person how the benchmark goes."""

    def update(self) -> None:
        """Look at the runs again; called a few times a second."""


class _Attempt(NamedTuple):
    """An attempt at a run that is under way.

    Attributes:
        job: Its process.
        claim: The lock that keeps other harnesses from the run.
        before: Stamp of the result that the run had before, which this attempt is to replace.
    """

    job: Job
    claim: FileLock
    before: tuple[int, int] | None


def run_all(
    runs: Sequence[Run],
    executor: Executor,
    display: Display,
    awaited: Collection[Run] = (),
    pretrained: Mapping[str, Run] | None = None,
) -> list[Run]:
    """Bring every run that is not through to its end, or to where it pauses; the others are not touched.

    A run that fails does not keep the others from running. A run that another harness looks after
    is left to it, and taken over if that harness ends before the run does. On an exception,
    KeyboardInterrupt included, all processes are stopped, unfinished runs are marked as
    interrupted, and the exception goes on; the jobs of a detached executor go on instead.

    Args:
        runs: Prepared runs, in the order in which they start.
        executor: Where they go.
        display: Shown to whoever waits.
        awaited: Those of the runs on which others depend: while another harness looks after one of them,
            this one waits too.
        pretrained: The pretraining of each run that starts from one, by the run's name. Until that is done
            the run waits; if it diverged, so has the run.

    Returns:
        The runs that another harness was looking after when nothing was left to do here.
    """
    pretrained = pretrained or {}
    waiting = deque(run for run in runs if not run.is_through())
    # What a run that somebody else has under way looked like: if it fails there, it has failed.
    elsewhere: dict[Run, tuple[int, int] | None] = {}
    active: dict[Run, _Attempt] = {}
    if waiting:
        executor.prepare()
    try:
        while True:
            _fill_slots(waiting, elsewhere, active, executor, pretrained)
            # Of what a failed pretraining leaves waiting nothing more will come.
            if not active and not any(run in awaited and _may_start(run, pretrained) for run in waiting):
                break
            display.update()
            executor.wait(POLL)
            _conclude_ended(active)
        display.update()
    except BaseException:
        _stop_jobs(active, executor)
        raise
    return [run for run in waiting if not run.is_through() and _may_start(run, pretrained)]


def _fill_slots(
    waiting: deque[Run],
    elsewhere: dict[Run, tuple[int, int] | None],
    active: dict[Run, _Attempt],
    executor: Executor,
    pretrained: Mapping[str, Run],
) -> None:
    """Fill the free slots with waiting runs; those that another harness has stay in the queue.

    So do those whose pretraining is under way. They are not submitted before it is done, on Slurm neither: a
    job that depends on another would have to be told from one whose pretraining has diverged, failed, or runs
    under another plan's name.
    """
    for _ in range(len(waiting)):
        if len(active) >= executor.slots:
            return
        run = waiting.popleft()
        if not _may_start(run, pretrained):
            waiting.append(run)
            continue
        claim = run.claim()
        try:
            claim.acquire(timeout=0)
        except Timeout:
            elsewhere.setdefault(run, run.result_stamp())
            waiting.append(run)
            continue
        if run.is_through() or _failed_elsewhere(run, elsewhere) or _diverged_before(run, pretrained):
            claim.release()
            continue
        before = run.result_stamp()
        try:
            active[run] = _Attempt(executor.submit(run), claim, before)
        except BaseException:
            claim.release()
            raise


def _may_start(run: Run, pretrained: Mapping[str, Run]) -> bool:
    return run.name not in pretrained or pretrained[run.name].is_final()


def _diverged_before(run: Run, pretrained: Mapping[str, Run]) -> bool:
    """Whether the pretraining that a run starts from diverged; the run's result then says so."""
    before = pretrained[run.name].result() if run.name in pretrained else None
    if before is None or before.status is not Status.DIVERGED:
        return False
    reason = f"its pretraining {pretrained[run.name].name} diverged: {before.reason or 'no reason given'}"
    with run.lock():
        if not run.is_final():
            run.write_result(_unwritten(run, Status.DIVERGED, reason))
    return True


def _failed_elsewhere(run: Run, elsewhere: dict[Run, tuple[int, int] | None]) -> bool:
    if run not in elsewhere or run.result_stamp() == elsewhere[run]:
        return False
    result = run.result()
    return result is not None and result.status is Status.FAILED


def _conclude_ended(active: dict[Run, _Attempt]) -> None:
    """Let go of the runs whose attempts have ended."""
    for run, attempt in list(active.items()):
        ended = attempt.job.ended()
        if ended is not None:
            # Processes that the worker left behind would hold its slot's processors.
            attempt.job.kill()
            del active[run]
            _conclude(run, attempt, ended)


def _stop_jobs(active: dict[Run, _Attempt], executor: Executor) -> None:
    """Stop all jobs, first asked, then killed; or let them go on."""
    if executor.detached:
        return
    for attempt in active.values():
        attempt.job.stop()
    deadline = time.monotonic() + GRACE
    try:
        while time.monotonic() < deadline:
            if all(attempt.job.ended() for attempt in active.values()):
                break
            time.sleep(min(POLL, 0.05))
    finally:
        for attempt in active.values():
            attempt.job.kill()
        for run, attempt in active.items():
            # On a full disk nothing can be written; the folder says the same without it.
            with contextlib.suppress(OSError):
                _conclude(run, attempt, Ended("stopped with the benchmark", interrupted=True))


def _conclude(run: Run, attempt: _Attempt, ended: Ended) -> None:
    """Write the result of a run whose process ended without writing one, and let go of the run."""
    try:
        with run.lock().acquire(timeout=_LET_GO):
            if run.is_final() or run.result_stamp() not in (None, attempt.before):
                return
            status = Status.INTERRUPTED if ended.interrupted else Status.FAILED
            run.write_result(_unwritten(run, status, ended.how))
    except Timeout:
        pass  # somebody works on it again: a job that Slurm has started once more
    finally:
        attempt.claim.release()


def _unwritten(run: Run, status: Status, reason: str) -> Result:
    """The result of a run for which no process has written one."""
    identity, progress = run.identity(), run.progress()
    assert identity is not None, "only prepared runs are started"
    return Result(
        status=status,
        task=identity.task,
        dataset=identity.dataset,
        config_hash=identity.config_hash,
        iteration=progress.iteration,
        reason=reason,
        log_tail=run.log_tail() if status is Status.FAILED else [],
        seconds=progress.seconds,
        threads=progress.threads,
    )
