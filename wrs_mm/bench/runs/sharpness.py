"""How sharp a run's loss was, as far as reports and packs go into it: the file of ``SharpnessHook``."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from wrs_mm.engine.hooks.sharpness_hook import NAME


class Measurement(BaseModel):
    """One measurement; a number is None where there is none.

    Attributes:
        iteration: Updates done.
        sharpness: The largest eigenvalue of the Hessian of the loss.
        error: Some eigenvalue lies within this distance of it.
        stable: The largest at which the optimizer's steps do not grow; None of others than SGD.
        sphere: As ``sharpness``, on the unit sphere of the scale-invariant filters; None where the model has
            none.
        sphere_error: Of that.
        sphere_stable: Of that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    iteration: int = Field(ge=0)
    sharpness: FiniteFloat | None
    error: FiniteFloat | None
    stable: FiniteFloat | None
    sphere: FiniteFloat | None
    sphere_error: FiniteFloat | None
    sphere_stable: FiniteFloat | None


def run_sharpness(folder: Path) -> tuple[Measurement, ...]:
    """What a run measured; nothing where it measured nothing, or the file is damaged.

    Args:
        folder: The run's.
    """
    path = folder / NAME
    try:
        return parse(path.read_bytes()) if path.is_file() else ()
    except ValueError:
        return ()


def parse(content: bytes) -> tuple[Measurement, ...]:
    """The measurements in a file, their iterations rising.

    Raises:
        ValueError: It is damaged, or of another version.
    """
    try:
        found = tuple(TypeAdapter(list[Measurement]).validate_json(content))
    except ValidationError:
        found = ()
    if not found or any(one.iteration >= other.iteration for one, other in pairwise(found)):
        raise ValueError(f"{NAME} is damaged or of another version of wrs-mm")
    return found
