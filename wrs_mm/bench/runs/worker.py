"""The process of one run: :func:`main`, or ``python -m wrs_mm.bench.runs.worker FOLDER [LAUNCHER]``.

Executors start it, nobody else. It trains the folder's ``config.py``, from the last good checkpoint if
there is one, and writes ``result.json``. It has a tie to the harness, standard input or the pipe of a
parent: when that closes, the harness is gone and the worker ends too, so that nobody trains on unseen.
Under Slurm there is none: such a run is the cluster's.

Where several processes train one run together, the first of them (rank 0) is the worker that this
text speaks of; the others only train.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.machine import rank
from wrs_mm.bench.runs.signals import exit_now, exit_with_parent, ignore_signals, listen_to_signals
from wrs_mm.bench.runs.training import work
from wrs_mm.files import remove_leftovers

_WAIT_FOR_LOCK = 60.0
"""Seconds that a worker grants a dying predecessor to let go of the run."""


def main(folder: Path, launcher: str = "none") -> int:
    """Work on the run in ``folder``; 0 if it has a final result then, else 1.

    Args:
        folder: The run's folder.
        launcher: As in :func:`wrs_mm.openmmlab.training.train`.

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


def main_and_exit(folder: Path, launcher: str = "none") -> NoReturn:
    """Call :func:`main`, then end this process, whatever happened; the interpreter's own end may abort it."""
    status = 1
    try:
        status = main(folder, launcher)
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        exit_now(status)


def _start(folder: str, launcher: str = "none") -> NoReturn:
    listen_to_signals()
    if launcher == "none":
        exit_with_parent(sys.stdin.buffer.read)
    else:
        from wrs_mm.openmmlab.distributed import exit_with_launcher

        exit_with_launcher()
    main_and_exit(Path(folder), launcher)


if __name__ == "__main__":
    _start(*sys.argv[1:])
