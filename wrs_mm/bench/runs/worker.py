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
import os
import sys
from pathlib import Path

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.machine import rank
from wrs_mm.bench.runs.signals import exit_with_parent, ignore_signals, listen_to_signals
from wrs_mm.bench.runs.training import work
from wrs_mm.files import remove_leftovers

_WAIT_FOR_LOCK = 60.0
"""Seconds that a worker grants a dying predecessor to let go of the run."""


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
        exit_with_parent(sys.stdin.buffer.read)
    else:
        from wrs_mm.openmmlab.distributed import exit_with_launcher

        exit_with_launcher()
    return main(args.folder, args.launcher)


def _launch(folder: Path, processes: int) -> int:
    """Become torchrun, which starts the processes of this machine and ends with the harness."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    exit_with_parent(sys.stdin.buffer.read)
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
