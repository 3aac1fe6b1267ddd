"""The file of a run that says what its updates did to its weights; it grows by a few kilobytes a report.

``weight_dynamics.json`` names weights, their stages and the quantities; ``weight_dynamics.f32`` has a record
a report, all little-endian float32: the iteration, then of each weight each quantity.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wrs_mm.files import write_bytes, write_json

HEAD, DATA = "weight_dynamics.json", "weight_dynamics.f32"
"""The two parts of it, in the run's folder."""

_VERSION = 1


@dataclass(frozen=True)
class Contents:
    """What a file is about.

    Attributes:
        weights: Their names.
        stages: Of each weight.
        quantities: As in :data:`wrs_mm.rescaling.dynamics.QUANTITIES`.
        sgd: Whether an update goes with the gradient's size, so that the effective learning rate is
            lr / ‖w‖²; of others it is lr / ‖w‖.
        law: That of :mod:`wrs_mm.rescaling.equilibrium` which the weights follow; empty where none is known.
    """

    weights: list[str]
    stages: list[str]
    quantities: list[str]
    sgd: bool = True
    law: str = ""

    @property
    def record(self) -> int:
        """How many numbers a report has."""
        return 1 + len(self.weights) * len(self.quantities)


@dataclass(frozen=True)
class Dynamics:
    """What was measured in a run.

    Attributes:
        contents: Weights, stages and quantities.
        iterations: ``(reports,)``, rising.
        values: ``(reports, weights, quantities)`` float32.
    """

    contents: Contents
    iterations: np.ndarray[Any, Any]
    values: np.ndarray[Any, Any]

    def of(self, quantity: str) -> np.ndarray[Any, Any]:
        """``(reports, weights)`` float64 of a quantity."""
        return self.values[:, :, self.contents.quantities.index(quantity)].astype(np.float64)


class DynamicsFile:
    """The file while a run writes it.

    Args:
        folder: The run's.
        contents: What it is about.
    """

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.contents = contents
        self._data = folder / DATA

    @classmethod
    def begin(cls, folder: Path, contents: Contents, *, after: int) -> DynamicsFile:
        """Begin it, or go on with it: what it has of later iterations, a run that was resumed makes again.

        Args:
            folder: The run's.
            contents: What it is about.
            after: How many iterations the run has done.
        """
        file = cls(folder, contents)
        kept = b""
        if (old := read(folder)) is not None and old.contents == contents:
            kept = file._data.read_bytes()[: 4 * contents.record * int((old.iterations <= after).sum())]
        write_json(folder / HEAD, {"version": _VERSION, **asdict(contents)})
        write_bytes(file._data, kept)
        return file

    def append(self, iteration: int, values: np.ndarray[Any, Any]) -> None:
        """Add a report.

        Args:
            iteration: Counted from 1.
            values: ``(weights, quantities)``.
        """
        record = np.concatenate([[iteration], np.ravel(values)]).astype("<f4").tobytes()
        with self._data.open("ab") as stream:
            stream.write(record)


def read(folder: Path) -> Dynamics | None:
    """What a run has measured so far, without a record that was cut off.

    Args:
        folder: The run's.

    Returns:
        None where it measures nothing, and of a file that is damaged or of another version.
    """
    paths = folder / HEAD, folder / DATA
    if not all(path.is_file() for path in paths):
        return None
    try:
        return parse(*(path.read_bytes() for path in paths))
    except ValueError:
        return None


def parse(head: bytes, data: bytes) -> Dynamics:
    """What the two parts of a file say, without a record that was cut off.

    Args:
        head: The part that names weights and quantities.
        data: The numbers.

    Raises:
        ValueError: They are damaged, or of another version.
    """
    try:
        fields = json.loads(head)
        version = fields.pop("version")
        contents = Contents(**fields)
        lists = contents.weights, contents.stages, contents.quantities
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{HEAD} is damaged or of another version of wrs-mm") from None
    named = all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in lists)
    if version != _VERSION or not named or len(contents.weights) != len(contents.stages):
        raise ValueError(f"{HEAD} is damaged or of another version of wrs-mm")
    records = np.frombuffer(data[: len(data) // 4 * 4], dtype="<f4")
    records = records[: len(records) // contents.record * contents.record].reshape(-1, contents.record)
    values = records[:, 1:].reshape(len(records), len(contents.weights), len(contents.quantities))
    return Dynamics(contents, records[:, 0].astype(np.int64), values)


def thinned(dynamics: Dynamics, most: int) -> Dynamics:
    """At most so many reports, evenly spaced, the first and the last among them.

    Thinned again, nothing changes: a report from a pack has the numbers of one from the work dir.

    Args:
        dynamics: What was measured.
        most: How many reports at most; 2 or more.
    """
    count = len(dynamics.iterations)
    if count <= most:
        return dynamics
    kept = np.linspace(0, count - 1, most).round().astype(int)
    return Dynamics(dynamics.contents, dynamics.iterations[kept], dynamics.values[kept])


def to_bytes(dynamics: Dynamics) -> bytes:
    """The numbers as :data:`DATA` has them."""
    flat = dynamics.values.reshape(len(dynamics.iterations), -1)
    return np.concatenate([dynamics.iterations[:, None], flat], axis=1).astype("<f4").tobytes()
