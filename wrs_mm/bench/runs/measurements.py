"""Files in which a hook has written what it measured, a list whose iterations rise."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError


class AtIteration(BaseModel):
    """A measurement.

    Attributes:
        iteration: Updates done.
    """

    iteration: int = Field(ge=0)


Measured = TypeVar("Measured", bound=AtIteration)


def read_measurements(path: Path, kind: type[Measured]) -> tuple[Measured, ...]:
    """The measurements in a file; nothing where there is none, or it is damaged."""
    try:
        return parse_measurements(path.read_bytes(), kind, path.name) if path.is_file() else ()
    except ValueError:
        return ()


def parse_measurements(content: bytes, kind: type[Measured], name: str) -> tuple[Measured, ...]:
    """The measurements in a file's content.

    Args:
        content: JSON.
        kind: What each is.
        name: The file's, for the message.

    Raises:
        ValueError: It is damaged, or of another version.
    """
    of_kind: TypeAdapter[list[Measured]] = TypeAdapter(list[kind])  # type: ignore[valid-type]
    found: tuple[Measured, ...]
    try:
        found = tuple(of_kind.validate_json(content))
    except ValidationError:
        found = ()
    if not found or any(one.iteration >= other.iteration for one, other in pairwise(found)):
        raise ValueError(f"{name} is damaged or of another version of wrs-mm")
    return found
