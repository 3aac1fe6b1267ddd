"""Several processes of this machine train one run: ``python -m wrs_mm.bench.executors.torchrun FOLDER N``.

:mod:`wrs_mm.bench.executors.spawned` starts it, nobody else.
"""

from __future__ import annotations

import sys

from wrs_mm.bench.runs.signals import exit_now, exit_with_parent


def main(folder: str, processes: str) -> int:
    """Become torchrun, which starts the processes and ends with the harness."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    exit_with_parent(sys.stdin.buffer.read)
    command = ["--standalone", f"--nproc-per-node={processes}", "-m", "wrs_mm.bench.runs.worker"]
    try:
        torchrun.run(torchrun.parse_args([*command, folder, "pytorch"]))
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        return code if code > 0 else 128 - code
    except SignalException as error:
        return 128 + error.sigval
    return 0


if __name__ == "__main__":
    exit_now(main(*sys.argv[1:]))
