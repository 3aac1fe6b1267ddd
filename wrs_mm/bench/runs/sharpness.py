"""How sharp a run's loss was, as far as reports and packs go into it: the file of ``SharpnessHook``."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, FiniteFloat

from wrs_mm.bench.runs.measurements import AtIteration, parse_measurements, read_measurements
from wrs_mm.engine.hooks.sharpness_hook import NAME


class Measurement(AtIteration):
    """One measurement; a number is None where there is none.

    Attributes:
        sharpness: The largest eigenvalue of the Hessian of the loss.
        error: Some eigenvalue lies within this distance of it.
        stable: The largest at which the optimizer's steps do not grow; None of others than SGD.
        sphere: As ``sharpness``, on the unit sphere of the scale-invariant filters; None where the model has
            none.
        sphere_error: Of that.
        sphere_stable: Of that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

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
    return read_measurements(folder / NAME, Measurement)


def parse(content: bytes) -> tuple[Measurement, ...]:
    """The measurements in a file.

    Raises:
        ValueError: It is damaged, or of another version.
    """
    return parse_measurements(content, Measurement, NAME)
