"""Where a benchmark's numbers come from: its runs by state, their versions and their machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.benchmark import RunData


class Machine(NamedTuple):
    """A kind of machine.

    Attributes:
        device: ``cpu`` or the GPU's name.
        processes: How many trained together.
        threads: CPU threads of each; None where that is not known.
    """

    device: str
    processes: int
    threads: int | None


def states(runs: Iterable[RunData]) -> dict[str, int]:
    """How many runs are in each state, without the states that none is in."""
    counts = Counter(run.status for run in runs)
    return {state.value: counts[state] for state in Status if counts[state]}


def versions(runs: Iterable[RunData]) -> dict[str, list[str]]:
    """The versions of each package; several, where runs differ."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for package, version in (run.result.versions if run.result else {}).items():
            found.setdefault(package, {})[version] = None
    return {package: list(several) for package, several in found.items()}


def machines(runs: Iterable[RunData]) -> dict[Machine, int]:
    """The kinds of machine that runs were trained on, and how many runs each."""
    results = [run.result for run in runs if run.result is not None and run.result.device]
    return dict(Counter(Machine(one.device, one.processes, one.threads) for one in results))
