"""The mmengine hook that watches a benchmark's training: progress, divergence, metrics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook

from wrs_mm.bench.runs import Progress

_WRITE_EVERY = 1.0
"""Seconds between two progress files."""


class Diverged(Exception):
    """The training loss is not finite any more.

    Args:
        iteration: The update, counted from 1, before which it was computed.
        loss: Its value.
    """

    def __init__(self, iteration: int, loss: float) -> None:
        super().__init__(f"the loss of iteration {iteration} is {loss}")
        self.iteration = iteration


class WatchHook(Hook):
    """Reports progress, ends a run whose loss is not finite, keeps the last metrics.

    Args:
        report: Takes a :class:`Progress`, whose ``seconds`` it fills in itself.
    """

    # Before any other hook: a diverged iteration must reach no checkpoint.
    priority = "VERY_HIGH"

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._began: tuple[float, int] | None = None
        self._validating = 0.0
        self._validation_began = 0.0
        self._written = -math.inf
        self._loss: float | None = None
        self.metrics: dict[str, Any] | None = None
        """The evaluator's metrics at the last validation."""
        self.metrics_iteration = -1
        """Updates done at the last validation."""

    def before_train(self, runner: Any) -> None:
        """Start the clock of the training proper."""
        self._began = (time.monotonic(), runner.iter)
        self._write(runner, "training", runner.iter)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Look at the loss.

        Raises:
            Diverged: It is not finite.
        """
        if outputs is not None and "loss" in outputs:
            self._loss = float(outputs["loss"])
            if not math.isfinite(self._loss):
                raise Diverged(runner.iter + 1, self._loss)
        if time.monotonic() - self._written >= _WRITE_EVERY:
            self._write(runner, "training", runner.iter + 1)

    def before_val_epoch(self, runner: Any) -> None:
        """Say that validation began."""
        self._validation_began = time.monotonic()
        self._write(runner, "validating", runner.iter)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Keep the metrics."""
        self.metrics = dict(metrics or {})
        self.metrics_iteration = runner.iter
        self._validating += time.monotonic() - self._validation_began
        self._write(runner, "training", runner.iter)

    def _write(self, runner: Any, phase: str, iteration: int) -> None:
        now = time.monotonic()
        left = None
        if self._began is not None and iteration > self._began[1]:
            each = (now - self._began[0] - self._validating) / (iteration - self._began[1])
            left = each * (runner.max_iters - iteration)
        self._report(
            Progress(
                phase=phase,
                iteration=iteration,
                iterations=runner.max_iters,
                loss=self._loss,
                seconds_left=left,
            )
        )
        self._written = now


def last_metrics(runner: Any, hook: WatchHook) -> dict[str, Any]:
    """The metrics of the last checkpoint, validating once more where that is missing.

    It is missing when a run was killed after its last checkpoint and before the validation ended:
    resumed, it has nothing left to train, and mmengine's loops then do not validate either.
    """
    if hook.metrics is None or hook.metrics_iteration != runner.iter:
        runner.val_loop.run()
    if hook.metrics is None:
        raise RuntimeError("validation ended without metrics")
    return hook.metrics
