"""torchrun that ends as the processes it started did.

torchrun itself ends with status 1 and a traceback of its own whatever happened. Here a status of the
training is passed on (128 + n where signal n ended it), and one line says which process it was.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

MISTAKE = 2
"""The caller's mistake; the processes have said what it is."""


def main(arguments: list[str]) -> int:
    """Start the processes, wait for them, and return the status to end with."""
    options = run.parse_args(arguments)
    if port_is_taken(options):
        print(
            f"torchrun: error: port {options.master_port} is in use on this machine; set PORT to a free one, "
            "the same on every machine",
            file=sys.stderr,
        )
        return MISTAKE
    if options.nproc_per_node != "1":
        # torchrun's own choice, which it explains in five lines unless it is made.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What it has to say on a process that failed is said below, in one line.
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    try:
        run.run(options)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        return report(rank, failure)
    except SignalException as error:
        return 128 + error.sigval
    return 0


def port_is_taken(options: argparse.Namespace) -> bool:
    """Whether machine 0, where all processes meet, cannot open the port that it was given."""
    if options.master_port is None or int(options.node_rank) != 0:
        return False
    with socket.socket() as probe:
        # A port whose last user has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(options.master_port)))
        except OSError:
            return True
    return False


def report(rank: int, failure: ProcessFailure) -> int:
    """Say how the first process that failed ended, and return that as a status."""
    if failure.exitcode == MISTAKE:
        return MISTAKE
    if failure.exitcode < 0:
        how = f"was killed by {signal.Signals(-failure.exitcode).name}"
    else:
        how = f"ended with status {failure.exitcode}"
    print(f"torchrun: error: process {rank} {how}, and the others were ended", file=sys.stderr)
    return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
