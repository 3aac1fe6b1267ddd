"""How a run's process hears that it must stop."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from wrs_mm.bench.runs import signals
from wrs_mm.bench.runs.signals import Stopped, ending, listen_to_signals


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_and_no_second_one_interrupts_what_is_written_then(own_signals, first):
    listen_to_signals()
    with pytest.raises(Stopped, match=f"stopped by {first.name}") as caught:
        signal.raise_signal(first)
    assert signals.stopped is caught.value
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.raise_signal(number)


CHILD = """
import sys, time
from wrs_mm.bench.runs.signals import Stopped, exit_now, exit_with_parent, listen_to_signals
listen_to_signals()
exit_with_parent(sys.stdin.buffer.read)
try:
    print("ready", flush=True)
    time.sleep(60)
except Stopped as error:
    print(error)
    exit_now(3)
"""


def test_a_process_ends_in_good_order_once_its_parent_is_gone():
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.close()
    assert child.wait(timeout=60) == 3
    assert child.stdout.read() == "stopped by SIGTERM\n"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (0, "exit status 0"),
        (1, "exit status 1"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (128 + signal.SIGKILL, "killed by SIGKILL"),
        (-40, "killed by signal 40"),
    ],
)
def test_a_signal_is_told_by_its_name_and_through_a_process_that_waited_too(code, how):
    assert ending(code) == how


def test_a_shell_s_exit_status_tells_the_signal_that_killed_its_process():
    program = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    shell = subprocess.run(["sh", "-c", f"{sys.executable} -c '{program}'; exit $?"], check=False)
    assert ending(shell.returncode) == "killed by SIGSEGV"
