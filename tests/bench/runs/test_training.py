"""How a run says how it ended."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs import signals, training
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.hooks import Diverged
from wrs_mm.bench.runs.records import Identity, Progress, Result, Status
from wrs_mm.bench.runs.training import TrainingOutcome
from wrs_mm.errors import DatasetError


@pytest.fixture
def run(tmp_path: Path, own_signals: None) -> Run:
    return Run(tmp_path)


def work(run: Run, monkeypatch: pytest.MonkeyPatch, train) -> Result:
    spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)
    monkeypatch.setattr(training, "train", train)
    return training.work(run, Identity(spec=spec, task="segmentation", dataset="d", config_hash="h"))


def test_a_stop_that_other_code_turns_into_an_error_is_still_a_stop(run, monkeypatch):
    def train(*arguments) -> None:
        signals.listen_to_signals()
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:
            # As mmengine does while it writes a config.
            raise SyntaxError("Failed to format the config file") from None

    result = work(run, monkeypatch, train)
    assert (result.status, result.reason) == (Status.INTERRUPTED, "Stopped: stopped by SIGTERM")


def test_a_stop_is_no_failure(run, monkeypatch):
    def train(run, spec, watch, launcher) -> None:
        signals.listen_to_signals()
        watch.first_update = time.monotonic()
        signal.raise_signal(signal.SIGINT)

    result = work(run, monkeypatch, train)
    assert (result.status, result.reason) == (Status.INTERRUPTED, "Stopped: stopped by SIGINT")
    assert result.log_tail == []
    assert result.seconds_starting is not None


def test_an_attempt_goes_on_where_the_one_before_was_cut_off(run, monkeypatch):
    run.write_progress(Progress(iteration=7, iterations=20, threads=1, seconds=100.0))

    def train(*arguments) -> None:
        starting = run.progress()
        assert (starting.phase, starting.iteration, starting.iterations) == ("starting", 7, 20)
        raise RuntimeError

    result = work(run, monkeypatch, train)
    assert (result.status, result.iteration, result.threads) == (Status.FAILED, 7, 1)
    assert result.seconds > 100
    assert result.seconds_starting is None


def test_a_user_s_mistake_is_said_without_the_name_of_a_class(run, monkeypatch):
    def train(*arguments) -> None:
        raise DatasetError("no images\nin data")

    assert work(run, monkeypatch, train).reason == "no images in data"


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
