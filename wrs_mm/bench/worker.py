"""The process of one run: ``python -m wrs_mm.bench.worker FOLDER``.

It trains the folder's ``config.py``, from the last good checkpoint if there is one, and writes
``result.json``. Standard input is its tie to the harness: when that closes, the harness is gone and
the worker ends too, so that nobody trains on unseen.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import threading
import time
import traceback
import zipfile
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

from wrs_mm.bench import metrics
from wrs_mm.bench.hooks import Diverged, WatchHook, last_metrics
from wrs_mm.bench.runs import Identity, Progress, Result, Run, Status
from wrs_mm.errors import UsageError

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

_STARTED = time.monotonic()

_WAIT_FOR_LOCK = 60.0
"""Seconds that a worker grants a dying predecessor to let go of the run."""


class Stopped(BaseException):
    """SIGTERM or SIGINT arrived, or the harness is gone."""


def versions() -> dict[str, str]:
    """Versions of Python and of the installed :data:`PACKAGES`."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def last_good_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; a damaged one is set aside as ``*.damaged``.

    ``best_*`` checkpoints are copies for users, not the way of the training, and are not looked at.
    """
    pointer = folder / "last_checkpoint"
    pointed = Path(pointer.read_text().strip()).name if pointer.exists() else ""
    candidates = [path for path in folder.glob("*.pth") if not path.name.startswith("best_")]
    candidates.sort(key=lambda path: (path.name == pointed, path.stat().st_mtime), reverse=True)
    for path in candidates:
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is None:
                    return path
        except (zipfile.BadZipFile, EOFError, OSError):
            pass
        print(f"{path.name} is damaged; set aside", file=sys.stderr)
        path.rename(path.with_suffix(".damaged"))
    return None


def train(run: Run, report: Any) -> tuple[int, dict[str, Any]]:
    """Train a run to its end.

    Args:
        run: The run.
        report: Takes a :class:`Progress` now and then.

    Returns:
        The number of updates and the evaluator's metrics after the last of them.

    Raises:
        Diverged: The loss is not finite any more.
    """
    from mmengine.config import Config
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    config = Config.fromfile(run.config)
    config.work_dir = str(run.folder)
    config.launcher = "none"
    checkpoint = last_good_checkpoint(run.folder)
    if checkpoint is not None:
        config.load_from, config.resume = str(checkpoint), True
    runner = RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    hook = WatchHook(report)
    runner.register_hook(hook)
    runner.train()
    return runner.iter, last_metrics(runner, hook)


def _one_line(error: BaseException) -> str:
    message = " ".join(str(error).split())
    if isinstance(error, UsageError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def work(run: Run, identity: Identity) -> Result:
    """Train, and say how it ended."""
    import torch

    spent = run.progress().seconds
    latest = Progress()

    def report(progress: Progress) -> None:
        nonlocal latest
        seconds = spent + time.monotonic() - _STARTED
        latest = progress.model_copy(update={"seconds": round(seconds, 3)})
        run.write_progress(latest)

    report(latest)

    result = Result(
        status=Status.DONE,
        task=identity.task,
        dataset=identity.dataset,
        config_hash=identity.config_hash,
        threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        versions=versions(),
    )
    try:
        result.iteration, measured = train(run, report)
        result.metrics = metrics.in_percent(measured, identity.task)
    except Diverged as error:
        result.status, result.iteration = Status.DIVERGED, error.iteration
        result.reason = _one_line(error)
    except Stopped as error:
        result.status, result.reason = Status.INTERRUPTED, _one_line(error)
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        result.status, result.reason = Status.FAILED, _one_line(error)
        result.log_tail = run.log_tail()
    if not result.status.final:
        result.iteration = latest.iteration
    result.seconds = round(spent + time.monotonic() - _STARTED, 3)
    return result


def _on_signal(number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the writing of the result.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped(f"stopped by {signal.Signals(number).name}")


def _end_with_the_harness() -> None:
    """Stop this process when standard input closes."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(folder: Path) -> int:
    """Work on the run in ``folder``; 0 if it ended as a result."""
    run = Run(folder)
    identity = run.identity()
    if identity is None:
        raise SystemExit(f"{folder} is not a run")
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    threading.Thread(target=_end_with_the_harness, daemon=True).start()
    with run.lock().acquire(timeout=_WAIT_FOR_LOCK):
        result = run.result()
        if result is None or not result.status.final:
            run.clear_result()
            result = work(run, identity)
            run.write_result(result)
    return 0 if result.status.final else 1


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is on disk: tearing down torch and mmengine would only take time.
    os._exit(status)
