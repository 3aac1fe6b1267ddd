"""How the process of a run says how it ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs import signals, training
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.hooks import Diverged
from wrs_mm.bench.runs.records import Identity, Result, Status
from wrs_mm.bench.runs.training import TrainingOutcome


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(signals, "stopped", None)
    monkeypatch.setattr(signals, "ignore_signals", lambda: None)
    return Run(tmp_path)


def work(run: Run, monkeypatch: pytest.MonkeyPatch, train) -> Result:
    spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)
    monkeypatch.setattr(training, "train", train)
    return training.work(run, Identity(spec=spec, task="segmentation", dataset="d", config_hash="h"))


def test_a_stop_that_other_code_turns_into_an_error_is_still_a_stop(run, monkeypatch):
    def train(*arguments) -> None:
        try:
            signals._on_signal(signal.SIGTERM, None)
        except BaseException:
            # As mmengine does while it writes a config.
            raise SyntaxError("Failed to format the config file") from None

    result = work(run, monkeypatch, train)
    assert (result.status, result.reason) == (Status.INTERRUPTED, "Stopped: stopped by SIGTERM")


@pytest.mark.parametrize(
    ("error", "status", "iteration"),
    [
        (Diverged(8, "the loss of iteration 8 is nan"), Status.DIVERGED, 8),
        (RuntimeError("two\nlines"), Status.FAILED, 0),
    ],
)
def test_what_went_wrong_is_one_line(run, monkeypatch, error, status, iteration):
    def train(*arguments) -> None:
        raise error

    result = work(run, monkeypatch, train)
    assert (result.status, result.iteration) == (status, iteration)
    assert result.reason == f"{type(error).__name__}: {' '.join(str(error).split())}"


def test_a_result_says_what_it_took(run, monkeypatch):
    def train(*arguments) -> TrainingOutcome:
        return TrainingOutcome(20, {"mIoU": 41.5, "aAcc": 80.0}, None)

    result = work(run, monkeypatch, train)
    assert (result.status, result.metrics, result.iteration) == (
        Status.DONE,
        {"aAcc": 80.0, "mIoU": 41.5},
        20,
    )
    assert result.peak_memory is not None
    assert result.peak_memory > 50
    assert {"python", "torch", "mmengine", "system"} <= result.versions.keys()
    assert result.started <= result.ended
    assert result.processes == 1
