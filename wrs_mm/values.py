"""Questions about plain values from configs and plans, and how a message names them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any, TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real, finite number (and no bool)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_whole_number(value: object) -> TypeGuard[int]:
    """Whether it is an int (and no bool)."""
    return isinstance(value, int) and not isinstance(value, bool)


def type_name(kind: Any) -> str:
    """The class name of a config's ``type``: a registered name, an import path or the class itself."""
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return name.rpartition(".")[2]


def one_line(text: object) -> str:
    """Text without line breaks, and with single spaces."""
    return " ".join(str(text).split())


def error_line(error: BaseException) -> str:
    """An exception in one line: its class and its message."""
    message = one_line(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def several(count: int, what: str) -> str:
    """``1 run`` or ``2 runs``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``"; did you mean X?"`` where one of the known words is close, else nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]}?" if close else ""
