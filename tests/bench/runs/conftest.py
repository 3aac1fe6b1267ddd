"""Two runs that wait, and a process whose signals may be changed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_folders import make_runs

from wrs_mm.bench.runs import signals
from wrs_mm.bench.runs.folder import Run


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return make_runs(tmp_path, 2)


@pytest.fixture
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does with this process's signals is undone."""
    monkeypatch.setattr(signals, "stopped", None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
