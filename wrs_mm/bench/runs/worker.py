"""The process of one run: ``python -m wrs_mm.bench.runs.worker FOLDER``, or :func:`main` in a forked one.

It trains the folder's ``config.py``, from the last good checkpoint if there is one, and writes
``result.json``. It has a tie to the harness, standard input or the pipe of a parent: when that
closes, the harness is gone and the worker ends too, so that nobody trains on unseen. Under Slurm
there is none: such a run is the cluster's.

Where several processes train one run together, the first of them (rank 0) is the worker that this
text speaks of; the others only train.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

from wrs_mm.bench.runs import predictions
from wrs_mm.bench.runs.folder import Best, Identity, Progress, Result, Run, Status
from wrs_mm.bench.runs.metrics import in_percent
from wrs_mm.errors import UsageError
from wrs_mm.files import remove_leftovers

PACKAGES = (
    "wrs-mm",
    "torch",
    "torchvision",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "mmdet",
    "mmsegmentation",
    "numpy",
    "opencv-python",
    "pycocotools",
)
"""What a result's ``versions`` lists, where installed."""

_WAIT_FOR_LOCK = 60.0
"""Seconds that a worker grants a dying predecessor to let go of the run."""

_GRACE = 30.0
"""Seconds after which a worker without a harness ends at all costs."""


class Stopped(BaseException):
    """SIGTERM or SIGINT arrived, or the harness is gone."""


_stopped: Stopped | None = None
"""Kept, because a bare ``except`` on its way turns it into something else (mmengine's, around yapf)."""


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


def versions() -> dict[str, str]:
    """Versions of Python, of the installed :data:`PACKAGES`, and of what computes beneath them."""
    import torch

    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found


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

    from wrs_mm.bench.runs.checkpoints import keep_enough, last_good_checkpoint
    from wrs_mm.bench.runs.hooks import (
        Diverged,
        MissedValidationHook,
        SameBuffersHook,
        WatchHook,
        all_finite,
        last_metrics,
    )

    settings = Config.fromfile(run.config)
    # mmengine writes down what it trains, straight to a name made from this one: not over config.py.
    config = Config(settings.to_dict(), settings.text, filename=str(run.folder / "trained.py"))
    config.work_dir = str(run.folder)
    config.launcher = launcher
    keep_enough(config)
    predictions.save_predictions(config, run.folder / predictions.FOLDER)
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


def process_began() -> float:
    """When this process began, imports included, on the clock of ``time.monotonic``."""
    try:
        after_boot = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return time.monotonic()
    return time.monotonic() - (up - after_boot / os.sysconf("SC_CLK_TCK"))


def peak_memory() -> float | None:
    """MiB that this process held at most, on the GPU if it uses one."""
    import torch

    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    (kib,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return round(int(kib) / 2**10, 1)


def _one_line(error: BaseException) -> str:
    message = " ".join(str(error).split())
    if isinstance(error, UsageError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


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
        stopped = _stopped
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


def rank() -> int:
    """Which of the processes that train together this one is."""
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0)


def _processes() -> int:
    """How many processes train together; mmengine sets the first of these itself, and later."""
    return int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1)


def _on_signal(number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the writing of the result.
    ignore_signals()
    global _stopped
    _stopped = Stopped(f"stopped by {signal.Signals(number).name}")
    raise _stopped


def listen_to_signals() -> None:
    """Have SIGTERM and SIGINT end the training in good order."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)


def ignore_signals() -> None:
    """Let nothing but SIGKILL end this process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def end_with(tie: Callable[[], Any]) -> None:
    """Stop this process once ``tie`` returns: its harness is gone.

    Args:
        tie: Waits for that.
    """

    def watch() -> None:
        tie()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: Path, launcher: str = "none") -> int:
    """Work on the run in ``folder``; 0 if it ended as a result, else 1.

    Args:
        folder: The run's folder.
        launcher: As in :func:`train`.

    Raises:
        Timeout: Another process works on the run, and does not end.
    """
    run = Run(folder)
    identity = run.identity()
    if identity is None:
        raise SystemExit(f"{folder} is not a run")
    if launcher != "none" and rank() > 0:
        work(run, identity, launcher)
        return 0
    with run.lock().acquire(timeout=_WAIT_FOR_LOCK):
        result = run.result()
        if result is None or not result.status.final:
            run.clear_result()
            remove_leftovers(folder)
            result = work(run, identity, launcher)
            ignore_signals()
            run.write_result(result)
    return 0 if result.status.final else 1


def _main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--launcher", choices=("none", "pytorch"), default="none")
    parser.add_argument("--processes", type=int, default=1, help="train with so many, through torchrun")
    args = parser.parse_args()
    if args.processes > 1:
        return _launch(args.folder, args.processes)
    listen_to_signals()
    if args.launcher == "none":
        end_with(sys.stdin.buffer.read)
    else:
        from wrs_mm.openmmlab.distributed import end_with_launcher

        end_with_launcher()
    return main(args.folder, args.launcher)


def _launch(folder: Path, processes: int) -> int:
    """Become torchrun, which starts the processes of this machine and ends with the harness."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    end_with(sys.stdin.buffer.read)
    command = ["--standalone", f"--nproc-per-node={processes}", "-m", "wrs_mm.bench.runs.worker", str(folder)]
    try:
        torchrun.run(torchrun.parse_args([*command, "--launcher", "pytorch"]))
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code > 0 else 128 - code
    except SignalException as error:
        return 128 + error.sigval
    return 0


if __name__ == "__main__":
    status = _main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is on disk: tearing down torch and mmengine would only take time.
    os._exit(status)
