"""How a run stands, and the time that is left."""

from __future__ import annotations

from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.snapshot import RunSnapshot, duration, time_left

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
