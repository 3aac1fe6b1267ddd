"""Progress and the time left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from wrs_mm.bench.plan.plan import RunSpec
from wrs_mm.bench.runs import display
from wrs_mm.bench.runs.display import PlainDisplay, RichDisplay, RunSnapshot, duration, time_left
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity, Progress, Result, Status

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


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    made = []
    for seed in range(2):
        spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=seed, baseline=True)
        run = Run(tmp_path / f"run{seed}")
        run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
        made.append(run)
    return made


def test_plain_lines_come_at_changes_and_seldom_in_between(runs, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now)
    lines: list[str] = []
    shown = PlainDisplay(runs, slots=2, write=lines.append)
    with runs[0].lock():
        for _ in range(40):
            progress = Progress(phase="training", iteration=3, iterations=9, seconds=5)
            runs[0].write_progress(progress)
            shown.update()
            now += 1.0
    assert len(lines) == 3
    assert lines[0].startswith("run0 running: training 3/9")
    runs[0].write_result(Result(status=Status.FAILED, reason="RuntimeError: no"))
    shown.update()
    assert lines[3].startswith("run0 failed: RuntimeError: no [0 of 2 runs finished, 1 failed")


def test_the_bars_say_what_ended_and_why(runs, monkeypatch):
    monkeypatch.setattr(display, "_SNAPSHOT_EVERY", 0.0)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120)
    with RichDisplay(runs, 2, console) as shown:
        with runs[0].lock():
            runs[0].write_progress(Progress(phase="training", iteration=3, iterations=9))
            shown.update()
        runs[0].write_result(Result(status=Status.DIVERGED, reason="the loss is [nan]", seconds=61))
        shown.update()
    text = stream.getvalue()
    assert "training 3/9" in text
    assert "diverged after" in text
    assert "the loss is [nan]" in text


def test_status_of_many_runs_keeps_to_the_screen_what_needs_a_look(tmp_path):
    runs = []
    for seed in range(8):
        spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=seed, baseline=True)
        run = Run(tmp_path / f"run{seed}")
        run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
        run.write_result(Result(status=Status.DONE))
        runs.append(run)
    runs[6].clear_result()
    runs[6].write_result(Result(status=Status.FAILED, reason="[red]no[/red]"))
    console = Console(file=io.StringIO(), width=120)
    console.print(display.status_table(runs, room=4))
    text = console.file.getvalue()
    assert "run6 failed" in " ".join(text.split())
    assert "[red]no[/red]" in text
    assert "… and 5 more" in text
    assert "8 runs finished, 1 failed" in text
    assert len(display.status_table(runs).rows) == 8


def test_status_shows_the_metric_and_the_time_left(runs):
    with runs[0].lock():
        progress = Progress(phase="training", iteration=3, iterations=9, metric="mIoU", value=41.236)
        runs[0].write_progress(progress.model_copy(update={"seconds": 30, "seconds_left": 61}))
        rows = display.status_rows(runs)
    assert rows[0] == ("run0", "running", "33%", "mIoU 41.24", "0:30", "1:01", "training 3/9")
    assert rows[1][:3] == ("run1", "pending", "0%")


def test_a_live_table_follows_the_runs_to_their_end(runs, monkeypatch):
    looks = iter(["running", "done"])

    def wait(seconds: float) -> None:
        if next(looks) == "done":
            for run in runs:
                run.write_result(Result(status=Status.DONE, seconds=61))

    monkeypatch.setattr(display.time, "sleep", wait)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, height=30)
    display.watch_status(lambda: runs, console, watch=True)
    assert "2 of 2 runs finished" in stream.getvalue()


def test_without_a_terminal_lines_come_again_only_when_they_change(runs, monkeypatch, capsys):
    looks = iter(range(5))

    def wait(seconds: float) -> None:
        if next(looks) == 3:
            for run in runs:
                run.write_result(Result(status=Status.DONE, seconds=61))

    monkeypatch.setattr(display.time, "sleep", wait)
    console = Console(file=io.StringIO(), force_terminal=False)
    display.watch_status(lambda: runs, console, watch=True)
    states = [line.split("\t")[:2] for line in capsys.readouterr().out.splitlines()]
    assert states == [["run0", "pending"], ["run1", "pending"], ["run0", "done"], ["run1", "done"]]
