"""How a run's process hears that it must stop, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

_GRACE = 30.0
"""Seconds after which a worker without a harness ends at all costs."""


class Stopped(BaseException):
    """SIGTERM or SIGINT arrived, or the harness is gone."""


stopped: Stopped | None = None
"""Kept, because a bare ``except`` on its way turns it into something else (mmengine's, around yapf)."""


def _on_signal(number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the writing of the result.
    ignore_signals()
    global stopped
    stopped = Stopped(f"stopped by {signal.Signals(number).name}")
    raise stopped


def listen_to_signals() -> None:
    """Have SIGTERM and SIGINT end the training in good order."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)


def ignore_signals() -> None:
    """Let nothing but SIGKILL end this process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def ending(code: int) -> str:
    """How a process ended, in a few words: ``exit status 1``, ``killed by SIGSEGV``.

    Args:
        code: Its exit status; for a signal minus its number or, as told by a process that waited for it
            (torchrun, a shell), 128 plus that.
    """
    number = -code if code < 0 else code - 128
    if number <= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:  # the real-time signals between the first and the last have no name
        return f"killed by signal {number}"


def exit_with_parent(wait_for_parent: Callable[[], Any]) -> None:
    """Stop this process once its harness is gone.

    Args:
        wait_for_parent: Returns then.
    """

    def watch() -> None:
        wait_for_parent()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def exit_now(status: int) -> NoReturn:
    """End this process; all is on disk, and to tear down torch and mmengine would only take time."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
