"""Two runs that wait, and a process whose signals may be changed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs import signals
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    made = []
    for seed in range(2):
        spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=seed, baseline=True)
        run = Run(tmp_path / f"run{seed}")
        run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
        made.append(run)
    return made


@pytest.fixture
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does with this process's signals is undone."""
    monkeypatch.setattr(signals, "stopped", None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
