"""The mmengine hooks of a benchmark's training: progress, divergence, metrics, checkpoints."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.dist import all_reduce, broadcast_object_list, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook, Hook

from wrs_mm.bench.runs.metrics import in_percent, main_key, metric_name
from wrs_mm.bench.runs.no_detections import zero_metrics
from wrs_mm.bench.runs.records import Best, Progress
from wrs_mm.bench.runs.validations import Validations
from wrs_mm.openmmlab.protection.random_state_hook import RandomStateHook

_WRITE_EVERY = 1.0
"""Seconds between two progress files."""


class Diverged(Exception):
    """The training is not finite any more.

    Args:
        iteration: The update, counted from 1, before which that was seen.
        what: What is not finite, for example «the loss of iteration 8 is nan».
    """

    def __init__(self, iteration: int, what: str) -> None:
        super().__init__(what)
        self.iteration = iteration


class Paused(Exception):
    """The training has come as far as it may for now.

    Args:
        iteration: Updates done.
        limit: The limit that it has reached.
    """

    def __init__(self, iteration: int, limit: int) -> None:
        super().__init__(f"paused after {iteration} updates")
        self.iteration = iteration
        self.limit = limit


class PauseHook(Hook):
    """Ends a run before the first update beyond a limit: whatever belongs to those before has been done then.

    Args:
        limit: Iterations or epochs, whichever the training loop counts.
    """

    # Before hooks that would do something for the next update.
    priority = "VERY_HIGH"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Look how far it is.

        Raises:
            Paused: As far as it may.
        """
        loop = runner.train_loop
        if (loop.epoch if hasattr(loop, "run_epoch") else loop.iter) >= self._limit:
            raise Paused(runner.iter, self._limit)


class WatchHook(Hook):
    """Reports progress, ends a run whose loss is not finite, keeps the metrics of all validations.

    Args:
        report: Takes a :class:`Progress`, whose ``seconds`` it fills in itself.
        record: Where the run's validations are kept.
        task: ``detection`` or ``segmentation``.
    """

    # Before any other hook: a diverged iteration must reach no checkpoint.
    priority = "VERY_HIGH"

    def __init__(self, report: Callable[[Progress], None], record: Path, task: str) -> None:
        self._report = report
        self._record = record
        self._task = task
        self.validations = Validations(record)
        self._began: tuple[float, int] | None = None
        self._validating = 0.0
        self._validation_began = 0.0
        self._written = -math.inf
        self._loss: float | None = None
        self._measured: tuple[str, float] | None = None
        self.first_update: float | None = None
        """When the first update of this attempt was done (``time.monotonic``)."""

    def before_train(self, runner: Any) -> None:
        """Start the clock of the training proper; find what was measured before."""
        self._began = (time.monotonic(), runner.iter)
        if runner.iter >= runner.max_iters and hasattr(runner.train_loop, "dataloader_iterator"):
            # mmengine loads again, and skips, all batches that were seen: nothing comes after them.
            runner.train_loop.dataloader_iterator = itertools.repeat(None)
        self.validations.forget_after(runner.iter)
        # The processes must agree on whether a validation is missing; they share a file system, if any.
        shared = [self.validations]
        broadcast_object_list(shared)
        self.validations = shared[0]
        self._write(runner, "training", runner.iter)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at the loss.

        Raises:
            Diverged: It is not finite, in any of the processes.
        """
        if self.first_update is None:
            self.first_update = time.monotonic()
        if outputs is not None and "loss" in outputs:
            loss = outputs["loss"].detach()
            if get_world_size() > 1:
                # The processes stop together: one that waits for another would hang.
                loss = loss.clone()
                all_reduce(loss, "sum")
                loss = loss / get_world_size()
            self._loss = float(loss)
            if not math.isfinite(self._loss):
                raise Diverged(runner.iter + 1, f"the loss of iteration {runner.iter + 1} is {self._loss}")
        if time.monotonic() - self._written >= _WRITE_EVERY:
            self._write(runner, "training", runner.iter + 1)

    def before_val_epoch(self, runner: Any) -> None:
        """Say that validation began."""
        self._validation_began = time.monotonic()
        self._write(runner, "validating", runner.iter)

    def before_test_epoch(self, runner: Any) -> None:
        """Say that the evaluation of the test split began."""
        self._write(runner, "testing", runner.iter)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Keep the metrics."""
        metrics = metrics or zero_metrics(runner.val_loop.evaluator)
        self.validations.add(runner.iter, metrics)
        key = main_key(metrics, self._task)
        if key is not None:
            name = metric_name(key)
            value = in_percent({key: metrics[key]}, self._task).get(name)
            self._measured = (name, value) if value is not None else None
        self._validating += time.monotonic() - self._validation_began
        self._write(runner, "training", runner.iter)

    def best(self, runner: Any) -> Best | None:
        """The best of all validations, by the metric that the recipe's ``save_best`` names."""
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and hook.save_best:
                rule = hook.rules[0] or "greater"
                return self.validations.best(hook.key_indicators[0], rule, self._task)
        return self.validations.best(None, "greater", self._task)

    def _write(self, runner: Any, phase: str, iteration: int) -> None:
        now = time.monotonic()
        left = None
        if self._began is not None and iteration > self._began[1]:
            each = (now - self._began[0] - self._validating) / (iteration - self._began[1])
            left = each * (runner.max_iters - iteration)
        name, value = self._measured or (None, None)
        self._report(
            Progress(
                phase=phase,
                iteration=iteration,
                iterations=runner.max_iters,
                loss=self._loss,
                metric=name,
                value=value,
                seconds_left=left,
            )
        )
        self._written = now


class MissedValidationHook(Hook):
    """Writes a validation down at its end, and makes up for one that a kill cut short.

    The checkpoint of an iteration is on disk before the validation of that iteration ends; a run
    resumed from it would leave that validation out.

    Args:
        watch: Knows which validations there were.
    """

    # After every hook that prepares the training, and after mmengine's CheckpointHook has saved the best
    # checkpoint: what is on record needs not be done again.
    priority = "LOWEST"

    def __init__(self, watch: WatchHook) -> None:
        self._watch = watch

    def before_train(self, runner: Any) -> None:
        """Validate now if that was due, and is not on record."""
        if runner.iter == 0 or not validation_due(runner):
            return
        if self._watch.validations.at(runner.iter) is not None:
            return
        for hook in runner.hooks:
            # A better checkpoint is saved once more, with the random states that training goes on from.
            if isinstance(hook, RandomStateHook):
                hook.restore_now()
            if isinstance(hook, CheckpointHook) and hook.last_ckpt is None:
                hook.last_ckpt = runner._load_from
        runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Write the validation down."""
        if is_main_process():
            self._watch.validations.write()


def validation_due(runner: Any) -> bool:
    """Whether mmengine's training loops would have validated after the updates done so far."""
    loop = runner.train_loop
    if runner.val_loop is None or not hasattr(loop, "_decide_current_val_interval"):
        return False
    loop._decide_current_val_interval()
    if hasattr(loop, "run_epoch"):
        done, total = loop.epoch, loop.max_epochs
    else:
        done, total = loop.iter, loop.max_iters
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == total)


def last_metrics(runner: Any, hook: WatchHook) -> dict[str, float]:
    """The metrics of the last checkpoint, validating now where the recipe does not at its end."""
    if hook.validations.at(runner.iter) is None:
        runner.val_loop.run()
    metrics = hook.validations.at(runner.iter)
    if not metrics:
        raise RuntimeError("validation ended without metrics")
    return metrics


def all_finite(runner: Any) -> bool:
    """Whether all of a model's parameters are finite."""
    return all(bool(parameter.isfinite().all()) for parameter in runner.model.parameters())
