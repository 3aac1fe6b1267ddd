"""The hooks of a benchmark's training.

What they do to a training that is killed and taken up again is in tests/bench/test_bench.py, and in several
processes in tests/bench/executors/test_local.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from wrs_mm.bench.runs.hooks import (
    Diverged,
    MissedValidationHook,
    Paused,
    PauseHook,
    WatchHook,
    all_finite,
    last_metrics,
    validation_due,
)
from wrs_mm.bench.runs.records import Progress


@pytest.fixture
def reported() -> list[Progress]:
    return []


@pytest.fixture
def watch(reported: list[Progress], tmp_path: Path) -> WatchHook:
    return WatchHook(reported.append, tmp_path / "validations.json", "segmentation")


def runner_at(iteration: int, **others: object) -> SimpleNamespace:
    return SimpleNamespace(iter=iteration, max_iters=10, hooks=[], **others)


def test_a_loss_that_is_not_finite_ends_the_run_at_that_update(watch):
    watch.before_train(runner_at(0))
    watch.after_train_iter(runner_at(0), 0, outputs={"loss": torch.tensor(1.0)})
    assert watch.first_update is not None
    with pytest.raises(Diverged, match="the loss of iteration 8 is nan") as caught:
        watch.after_train_iter(runner_at(7), 7, outputs={"loss": torch.tensor(float("nan"))})
    assert caught.value.iteration == 8


def test_what_a_validation_gave_is_reported_in_percent_and_kept(watch, reported, tmp_path):
    runner = runner_at(0)
    watch.before_train(runner)
    runner.iter = 5
    watch.before_val_epoch(runner)
    watch.after_val_epoch(runner, {"mAcc": 50.0, "mIoU": 41.5})
    assert [entry.phase for entry in reported] == ["training", "validating", "training"]
    assert (reported[-1].metric, reported[-1].value, reported[-1].iteration) == ("mIoU", 41.5, 5)
    assert not (tmp_path / "validations.json").exists()
    MissedValidationHook(watch).after_val_epoch(runner)
    assert json.loads((tmp_path / "validations.json").read_text()) == [
        {"iteration": 5, "metrics": {"mAcc": 50.0, "mIoU": 41.5}}
    ]


class ByUpdates:
    """As much of mmengine's loop over updates as there is to know of its validations."""

    val_begin, val_interval, max_iters = 4, 3, 11

    def __init__(self, done: int) -> None:
        self.iter = done

    def _decide_current_val_interval(self) -> None:
        pass


@pytest.mark.parametrize("done", range(12))
def test_a_validation_is_due_where_mmengine_makes_one(done):
    runner = SimpleNamespace(train_loop=ByUpdates(done), val_loop=object())
    assert validation_due(runner) == (done in (6, 9, 11))
    runner.val_loop = None
    assert not validation_due(runner)


@pytest.mark.parametrize(("recorded", "made"), [([3], [6]), ([3, 6], [])])
def test_a_validation_that_is_on_record_is_not_made_again(watch, recorded, made):
    done: list[int] = []
    runner = runner_at(6, train_loop=ByUpdates(6))
    runner.val_loop = SimpleNamespace(run=lambda: done.append(runner.iter))
    for iteration in recorded:
        watch.validations.add(iteration, {"mIoU": 1.0})
    MissedValidationHook(watch).before_train(runner)
    assert done == made


def test_the_last_metrics_are_measured_where_the_recipe_does_not(watch):
    runner = runner_at(10)
    runner.val_loop = SimpleNamespace(run=lambda: watch.validations.add(10, {"mIoU": 2.0}))
    assert last_metrics(runner, watch) == {"mIoU": 2.0}
    runner.iter, runner.val_loop = 11, SimpleNamespace(run=lambda: None)
    with pytest.raises(RuntimeError, match="validation ended without metrics"):
        last_metrics(runner, watch)


def test_one_weight_that_is_not_finite_is_seen():
    model = torch.nn.Linear(2, 2)
    assert all_finite(SimpleNamespace(model=model))
    with torch.no_grad():
        model.bias[1] = float("inf")
    assert not all_finite(SimpleNamespace(model=model))


def test_a_run_pauses_before_the_first_update_beyond_its_limit():
    hook = PauseHook(3)
    for loop in (SimpleNamespace(iter=2), SimpleNamespace(iter=90, epoch=2, run_epoch=None)):
        hook.before_train_iter(SimpleNamespace(iter=loop.iter, train_loop=loop), 0)
    for loop in (SimpleNamespace(iter=3), SimpleNamespace(iter=90, epoch=3, run_epoch=None)):
        with pytest.raises(Paused) as caught:
            hook.before_train_iter(SimpleNamespace(iter=loop.iter, train_loop=loop), 0)
        assert (caught.value.iteration, caught.value.limit) == (loop.iter, 3)
