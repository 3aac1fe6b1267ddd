"""``python cpu_time.py FILE COMMAND…``: run it, and write the CPU seconds of all that it started to FILE.

Seconds of the CPU say what a command costs, however busy the machine is; seconds of the clock do not.
Processes that outlive their parents are waited for here, so that they count as well (Linux only).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(file: str, command: list[str]) -> int:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A run of its own ends when its standard input closes.
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
    status = process.wait()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    times = os.times()
    with open(file, "w", encoding="utf-8") as out:
        print(times.children_user + times.children_system, file=out)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
