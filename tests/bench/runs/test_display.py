"""What is shown while a benchmark runs."""

from __future__ import annotations

import io

from rich.console import Console

from wrs_mm.bench.runs import display
from wrs_mm.bench.runs.display import PlainDisplay, RichDisplay
from wrs_mm.bench.runs.records import Progress, Result, Status


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
    monkeypatch.setattr(display, "SNAPSHOT_EVERY", 0.0)
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
