"""Train one run, and say how it ended."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs import predictions, signals
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.machine import (
    number_of_processes,
    peak_memory,
    process_began,
    rank,
    utc_now,
    versions,
)
from wrs_mm.bench.runs.metrics import in_percent
from wrs_mm.bench.runs.records import Best, Identity, Progress, Result, StartNorms, Status
from wrs_mm.bench.runs.signals import Stopped
from wrs_mm.errors import NotFiniteError, UsageError
from wrs_mm.openmmlab.optional_packages import packages_named
from wrs_mm.values import error_line, one_line

if TYPE_CHECKING:
    from wrs_mm.bench.runs.hooks import WatchHook


class TrainingOutcome(NamedTuple):
    """What a training to its end gave.

    Attributes:
        iteration: Updates done.
        metrics: The evaluator's, after the last of them.
        best: The best validation.
        test: The evaluator's of the test split, likewise; empty where that is not reported.
        start_norms: As in Result.
    """

    iteration: int
    metrics: dict[str, float]
    best: Best | None
    test: Mapping[str, float] = {}
    start_norms: StartNorms | None = None


def train(run: Run, spec: RunSpec, watch: WatchHook, launcher: str) -> TrainingOutcome:
    """Train a run to its end, from its last good checkpoint if it has one, and measure what it reports.

    Args:
        run: The run.
        spec: What it is.
        watch: Follows the training.
        launcher: How the processes of this run were started: ``none``, ``pytorch`` or ``slurm``.

    Raises:
        Diverged: The loss, or a weight, is not finite any more.
    """
    from mmengine.config import Config
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    from wrs_mm.bench.runs.evaluation import measure_test, train_images_hook
    from wrs_mm.bench.runs.hooks import Diverged, Paused, PauseHook, all_finite, last_metrics
    from wrs_mm.bench.runs.instrument import instrument, watch_runner
    from wrs_mm.bench.runs.pretraining import save_backbone
    from wrs_mm.bench.runs.start_norms import Start
    from wrs_mm.openmmlab.numerics import set_numerics
    from wrs_mm.openmmlab.pretrained import ALLOW_PARTIAL, check_pretrained
    from wrs_mm.openmmlab.protection.protect import protect_runner
    from wrs_mm.openmmlab.protection.resuming import resume_from_last_good

    resolved = Config.fromfile(run.config)
    # mmengine writes down what it trains, straight to a name made from this one: not over config.py.
    config = Config(resolved.to_dict(), resolved.text, filename=str(run.folder / "trained.py"))
    train_images = None
    if spec.split == "test" and spec.trial is None:
        train_images = train_images_hook(config, run.train_validations)
    instrument(config, run.folder, launcher, spec)
    with packages_named(config):
        runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
        check_pretrained(runner, bool(config.get(ALLOW_PARTIAL)))
        start = None if spec.start is None else Start(runner.model)
        protect_runner(runner)
    set_numerics()
    resume_from_last_good(runner, run.folder)
    watch_runner(runner, watch, train_images)
    limit = run.limit()
    if limit is not None:
        runner.register_hook(PauseHook(limit))
    try:
        with packages_named(config):
            runner.train()
    except NotFiniteError as error:
        raise Diverged(runner.iter + 1, str(error)) from error
    except Exception as error:
        # Weights that are not finite make a model fail in many ways before any loss shows it.
        if not isinstance(error, (Diverged, Paused)) and not all_finite(runner):
            at = runner.iter + 1
            raise Diverged(at, f"the weights of iteration {at} are not finite") from error
        raise
    metrics = last_metrics(runner, watch)
    test = measure_test(runner) if spec.split == "test" else {}
    if spec.pretraining is not None and rank() == 0:
        save_backbone(run.folder, run.weights)
    return TrainingOutcome(runner.iter, metrics, watch.best(runner), test, start.norms if start else None)


def work(run: Run, identity: Identity, launcher: str = "none") -> Result:
    """Train, and say how it ended.

    Args:
        run: The run.
        identity: What it is.
        launcher: As in :func:`train`.
    """
    began = process_began()
    import torch

    from wrs_mm.bench.runs.hooks import Diverged, Paused, WatchHook

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
        processes=number_of_processes() if launcher != "none" else 1,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        versions=versions(),
        started=utc_now(),
    )
    watch = None
    try:
        report(latest.model_copy(update={"iteration": before.iteration, "iterations": before.iterations}))
        watch = WatchHook(report, run.validations, identity.task)
        outcome = train(run, identity.spec, watch, launcher)
        result.iteration, result.best = outcome.iteration, outcome.best
        result.start_norms = outcome.start_norms
        result.metrics = in_percent(outcome.metrics, identity.task)
        result.test = in_percent(outcome.test, identity.task)
        if any((run.folder / predictions.FOLDER).glob("*")):
            result.predictions = predictions.FOLDER
    except Paused as error:
        result.status, result.iteration, result.limit = Status.PAUSED, error.iteration, error.limit
        assert watch is not None, "it is what the training began with"
        result.metrics = in_percent(watch.validations.at(error.iteration) or {}, identity.task)
        result.reason = f"{error}, for the others of its arm"
    except Diverged as error:
        result.status, result.iteration, result.reason = Status.DIVERGED, error.iteration, error_line(error)
    except Stopped as error:
        result.status, result.reason = Status.INTERRUPTED, error_line(error)
    except Exception as error:
        if signals.stopped is not None:
            result.status, result.reason = Status.INTERRUPTED, error_line(signals.stopped)
        else:
            result.status = Status.FAILED
            result.reason = one_line(error) if isinstance(error, UsageError) else error_line(error)
        with contextlib.suppress(OSError):  # a full disk must not hide what went wrong
            traceback.print_exc()
            sys.stderr.flush()
        if result.status is Status.FAILED:
            result.log_tail = run.log_tail()
    if not result.status.final and result.status is not Status.PAUSED:
        result.iteration = latest.iteration
    ended = time.monotonic()
    result.seconds, result.ended = round(before.seconds + ended - began, 3), utc_now()
    if watch is not None and watch.first_update is not None:
        result.seconds_starting = round(watch.first_update - began, 3)
    result.peak_memory = peak_memory()
    return result
