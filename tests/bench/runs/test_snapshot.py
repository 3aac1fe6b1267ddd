"""How a run stands, and the time that is left."""

from __future__ import annotations

import pytest

from wrs_mm.bench.runs.records import Progress, Result, Status
from wrs_mm.bench.runs.snapshot import RunSnapshot, duration, snapshot, summary_line, time_left

PENDING = RunSnapshot(Status.PENDING, 0.0, "", "", 0.0, None)


def _done(seconds: float) -> RunSnapshot:
    return RunSnapshot(Status.DONE, 1.0, "", "", seconds, None)


def _running(seconds: float, left: float | None) -> RunSnapshot:
    return RunSnapshot(Status.RUNNING, 0.5, "", "", seconds, left)


def test_nothing_is_promised_before_anything_is_known():
    assert time_left([PENDING, PENDING], slots=2) is None
    assert time_left([_running(3.0, None), PENDING], slots=2) is None


def test_waiting_runs_take_as_long_as_finished_ones_and_share_the_slots():
    assert time_left([_done(100), PENDING, PENDING, PENDING, PENDING], slots=2) == 200
    assert time_left([_done(100), PENDING], slots=2) == 100
    assert time_left([_done(100), _running(40, None), PENDING], slots=1) == 160


def test_a_run_under_way_bounds_the_time_from_below():
    assert time_left([_done(10), _running(10, 500)], slots=2) == 500


def test_nothing_is_left_at_the_end():
    assert time_left([_done(1), RunSnapshot(Status.DIVERGED, 1.0, "", "", 1.0, None)], slots=2) == 0


def test_durations_read_like_clocks():
    assert [duration(s) for s in (None, 0, 61.4, 3725)] == ["–", "0:00", "1:01", "1:02:05"]


def test_a_result_says_how_a_run_ended_and_its_progress_how_far_it_came(runs):
    runs[0].write_progress(Progress(phase="training", iteration=3, iterations=9, loss=0.25, seconds=5.0))
    assert snapshot(runs[0]) == RunSnapshot(
        Status.INTERRUPTED, 3 / 9, "", "training 3/9 loss 0.25", 5.0, None
    )
    runs[0].write_result(Result(status=Status.FAILED, reason="killed by SIGKILL", seconds=7.0))
    assert snapshot(runs[0]) == RunSnapshot(Status.FAILED, 3 / 9, "", "killed by SIGKILL", 7.0, None)
    done = Result(
        status=Status.DONE, task="segmentation", metrics={"mAcc": 50.0, "mIoU": 41.236}, seconds=9.0
    )
    runs[0].write_result(done)
    assert snapshot(runs[0]) == RunSnapshot(Status.DONE, 1.0, "mIoU 41.24", "", 9.0, None)


@pytest.mark.parametrize("written", [True, False])
def test_an_interrupted_run_has_not_failed(runs, written):
    runs[0].write_progress(Progress(iteration=3, iterations=9))
    if written:
        runs[0].write_result(Result(status=Status.INTERRUPTED, reason="Stopped: stopped by SIGTERM"))
    assert snapshot(runs[0]).status is Status.INTERRUPTED
    line = summary_line([snapshot(run) for run in runs], slots=1)
    assert line == "0 of 2 runs finished, – left"
