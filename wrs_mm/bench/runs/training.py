"""Train one run, and say how it ended."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable

from wrs_mm.bench.runs import predictions, signals
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.instrument import save_predictions
from wrs_mm.bench.runs.machine import _now, _one_line, _processes, peak_memory, process_began, rank, versions
from wrs_mm.bench.runs.metrics import in_percent
from wrs_mm.bench.runs.records import Best, Identity, Progress, Result, Status
from wrs_mm.bench.runs.signals import Stopped


class Trained:
    """What a training to its end gave.

    Attributes:
        iteration: Updates done.
        metrics: The evaluator's, after the last of them.
        best: The best validation.
        first_update: When the first update of this attempt was done; None where there was none.
    """

    def __init__(self) -> None:
        self.iteration = 0
        self.metrics: dict[str, float] = {}
        self.best: Best | None = None
        self.first_update: float | None = None


def train(run: Run, task: str, report: Callable[[Progress], None], launcher: str, trained: Trained) -> None:
    """Train a run to its end.

    Args:
        run: The run.
        task: ``detection`` or ``segmentation``.
        report: Takes a :class:`Progress` now and then.
        launcher: How the processes of this run were started: ``none``, ``pytorch`` or ``slurm``.
        trained: Takes what comes out.

    Raises:
        Diverged: The loss, or a weight, is not finite any more.
    """
    from mmengine.config import Config
    from mmengine.dist import broadcast_object_list, is_main_process
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from wrs_mm.bench.runs.checkpoints import last_good_checkpoint
    from wrs_mm.bench.runs.hooks import (
        Diverged,
        MissedValidationHook,
        SameBuffersHook,
        WatchHook,
        all_finite,
        last_metrics,
    )
    from wrs_mm.bench.runs.instrument import keep_checkpoints

    settings = Config.fromfile(run.config)
    # mmengine writes down what it trains, straight to a name made from this one: not over config.py.
    config = Config(settings.to_dict(), settings.text, filename=str(run.folder / "trained.py"))
    config.work_dir = str(run.folder)
    config.launcher = launcher
    keep_checkpoints(config)
    save_predictions(config, run.folder / predictions.FOLDER)
    runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)

    # Only now can the processes agree on the checkpoint; the runner looks for it when it trains.
    found = [str(last_good_checkpoint(run.folder) or "")] if is_main_process() else [""]
    broadcast_object_list(found)
    if found[0]:
        runner._load_from, runner._resume = found[0], True
    watch = WatchHook(report, run.validations, task)
    runner.register_hook(watch)
    runner.register_hook(SameBuffersHook())
    runner.register_hook(MissedValidationHook(watch))
    try:
        runner.train()
    except Exception as error:
        # Weights that are not finite make a model fail in many ways before any loss shows it.
        if not isinstance(error, Diverged) and not all_finite(runner):
            at = runner.iter + 1
            raise Diverged(at, f"the weights of iteration {at} are not finite") from error
        raise
    finally:
        trained.first_update = watch.first_update
    trained.metrics = last_metrics(runner, watch)
    trained.iteration, trained.best = runner.iter, watch.best(runner)


def work(run: Run, identity: Identity, launcher: str = "none") -> Result:
    """Train, and say how it ended.

    Args:
        run: The run.
        identity: What it is.
        launcher: As in :func:`train`.
    """
    began = process_began()
    import torch

    from wrs_mm.bench.runs.hooks import Diverged

    before = run.progress()
    threads = before.threads or torch.get_num_threads()
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    latest = Progress(threads=threads)

    def report(progress: Progress) -> None:
        nonlocal latest
        seconds = before.seconds + time.monotonic() - began
        latest = progress.model_copy(update={"seconds": round(seconds, 3), "threads": threads})
        if rank() == 0:
            run.write_progress(latest)

    result = Result(
        status=Status.DONE,
        task=identity.task,
        dataset=identity.dataset,
        config_hash=identity.config_hash,
        threads=threads,
        processes=_processes() if launcher != "none" else 1,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        versions=versions(),
        started=_now(),
    )
    trained = Trained()
    try:
        report(latest.model_copy(update={"iteration": before.iteration, "iterations": before.iterations}))
        train(run, identity.task, report, launcher, trained)
        result.iteration, result.best = trained.iteration, trained.best
        result.metrics = in_percent(trained.metrics, identity.task)
        if any((run.folder / predictions.FOLDER).glob("*")):
            result.predictions = predictions.FOLDER
    except Diverged as error:
        result.status, result.iteration = Status.DIVERGED, error.iteration
        result.reason = _one_line(error)
    except Stopped as error:
        result.status, result.reason = Status.INTERRUPTED, _one_line(error)
    except Exception as error:
        stopped = signals.stopped
        if stopped is not None:
            result.status, result.reason = Status.INTERRUPTED, _one_line(stopped)
        else:
            result.status, result.reason = Status.FAILED, _one_line(error)
        with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
            traceback.print_exc()
            sys.stderr.flush()
        if stopped is None:
            result.log_tail = run.log_tail()
    if not result.status.final:
        result.iteration = latest.iteration
    ended = time.monotonic()
    result.seconds, result.ended = round(before.seconds + ended - began, 3), _now()
    if trained.first_update is not None:
        result.seconds_starting = round(trained.first_update - began, 3)
    result.peak_memory = peak_memory()
    return result
