"""A config's text is laid out once.

mmengine lays a config out with yapf, which takes tenths of a second and more, and does so anew with every
checkpoint that it writes: half of what a short training costs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

KEPT = 16
"""Texts that are remembered, the latest; a training has a few."""


def lay_out_once() -> None:
    """Have mmengine remember the texts that it has laid out; a second call changes nothing."""
    from mmengine.config import config

    if not hasattr(config.FormatCode, "__wrapped__"):
        config.FormatCode = remembering(config.FormatCode)


def remembering(lay_out: Callable[..., tuple[str, bool]]) -> Callable[..., tuple[str, bool]]:
    """Yapf's ``FormatCode``, which depends on nothing but what it is given, with a memory."""
    seen: dict[str, tuple[str, bool]] = {}

    @functools.wraps(lay_out)
    def remembered(text: str, **options: Any) -> tuple[str, bool]:
        key = repr((text, sorted(options.items())))
        # The latest is the last: another config's text must not push out that of the training.
        found = seen.pop(key, None) or lay_out(text, **options)
        seen[key] = found
        if len(seen) > KEPT:
            del seen[next(iter(seen))]
        return found

    return remembered
