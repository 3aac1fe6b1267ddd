"""How a run's process hears that it must stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_GRACE = 30.0
"""Seconds after which a worker without a harness ends at all costs."""


class Stopped(BaseException):
    """SIGTERM or SIGINT arrived, or the harness is gone."""


_stopped: Stopped | None = None
"""Kept, because a bare ``except`` on its way turns it into something else (mmengine's, around yapf)."""


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


def exit_with_parent(tie: Callable[[], Any]) -> None:
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
