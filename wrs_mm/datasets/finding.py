"""What a look at one part of a dataset found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of a dataset check.

    Attributes:
        part: What was looked at, a path below the dataset's root.
        found: What is there, in a few words.
        remedy: What to do about it; empty where nothing is wrong.
    """

    part: str
    found: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with this part."""
        return not self.remedy
