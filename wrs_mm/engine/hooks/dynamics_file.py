"""The file of a run that says what its updates did to its weights; it grows by a few kilobytes a report.

``weight_dynamics.json`` names weights, their stages and the quantities; ``weight_dynamics.f32`` has a record
a report, all little-endian float32: the iteration, then of each weight each quantity.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wrs_mm.files import write_bytes, write_json

NAME = "weight_dynamics"


@dataclass(frozen=True)
class Dynamics:
    """What was measured in a run.

    Attributes:
        weights: Their names.
        stages: Of each weight.
        quantities: As in :data:`wrs_mm.rescaling.dynamics.QUANTITIES`.
        iterations: ``(reports,)``, rising.
        values: ``(reports, weights, quantities)`` float32.
    """

    weights: list[str]
    stages: list[str]
    quantities: list[str]
    iterations: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]


class DynamicsFile:
    """The file while a run writes it.

    Args:
        folder: The run's.
        stages: Of each weight.
    """

    def __init__(self, folder: Path, stages: list[str]) -> None:
        self.stages = stages
        self._data = folder / f"{NAME}.f32"

    @classmethod
    def begin(
        cls, folder: Path, weights: list[str], stages: list[str], quantities: Sequence[str], *, after: int
    ) -> DynamicsFile:
        """Begin it, or go on with it: what it has of later iterations, a run that was resumed makes again.

        Args:
            folder: The run's.
            weights: Their names.
            stages: Of each weight.
            quantities: Their names.
            after: How many iterations the run has done.
        """
        header = {"version": 1, "weights": weights, "stages": stages, "quantities": list(quantities)}
        file = cls(folder, stages)
        kept = b""
        if _header(folder) == header and (old := read(folder)) is not None:
            length = 4 * (1 + len(weights) * len(quantities))
            kept = file._data.read_bytes()[: length * int((old.iterations <= after).sum())]
        write_json(folder / f"{NAME}.json", header)
        write_bytes(file._data, kept)
        return file

    def append(self, iteration: int, values: np.ndarray[Any, Any]) -> None:
        """Add a report.

        Args:
            iteration: Counted from 1.
            values: ``(weights, quantities)``.
        """
        with self._data.open("ab") as stream:
            stream.write(_record(iteration, values))


def read(folder: Path) -> Dynamics | None:
    """What a run has measured so far, without a record that was cut off; None where it measures nothing."""
    header = _header(folder)
    if header is None:
        return None
    shape = (len(header["weights"]), len(header["quantities"]))
    numbers = np.fromfile(folder / f"{NAME}.f32", dtype="<f4")
    length = 1 + shape[0] * shape[1]
    records = numbers[: len(numbers) // length * length].reshape(-1, length)
    return Dynamics(
        header["weights"],
        header["stages"],
        header["quantities"],
        records[:, 0].astype(np.int64),
        records[:, 1:].reshape(-1, *shape),
    )


def _header(folder: Path) -> dict[str, Any] | None:
    path = folder / f"{NAME}.json"
    if not (path.is_file() and path.with_suffix(".f32").is_file()):
        return None
    header: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return header


def _record(iteration: int, values: np.ndarray[Any, Any]) -> bytes:
    return np.concatenate([[iteration], np.ravel(values)]).astype("<f4").tobytes()
