"""Resolved configs as Python text: the same as mmengine's, without laying out again what runs have in common.

mmengine lays a config out with yapf, which takes a tenth of a second or more; a plan with tuning has hundreds
of runs that differ in two or three of their keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.config import Config


class ConfigTexts:
    """Lays out configs; what it has seen before it takes as it was."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], str] = {}

    def text(self, config: Config) -> str:
        """A config's ``pretty_text``."""
        from mmengine.config import Config

        parts = []
        for key, value in sorted(config.to_dict().items()):
            same = key, repr(value)
            if same not in self._seen:
                # A line for each top-level key: no key has a say in how another one is laid out.
                self._seen[same] = Config({key: value}).pretty_text
            parts.append(self._seen[same])
        return "".join(parts)
