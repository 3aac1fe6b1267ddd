"""Runs that have measured how sharp their loss is: made-up numbers in the form of the hook's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made_up_dynamics import run_data

from wrs_mm.bench.runs.sharpness import Measurement
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.engine.hooks.sharpness_hook import NAME
from wrs_mm.files import write_json

ITERATIONS = (0, 100, 200)


def entry(iteration: int, **fields: float | None) -> dict[str, Any]:
    """One measurement as the file has it: 1 on an edge of 2, unless said otherwise."""
    return {
        "iteration": iteration,
        **{"sharpness": 1.0, "error": 0.01, "stable": 2.0},
        **{"sphere": 1.0, "sphere_error": 0.01, "sphere_stable": 2.0},
        **fields,
    }


def measured(arm: str, seed: int, *entries: dict[str, Any]) -> RunData:
    """A run with these measurements."""
    return run_data(arm, seed, sharpness=tuple(Measurement(**one) for one in entries))


def write_sharpness(folder: Path, arm: str, seed: int) -> None:
    """A run's file: ``ws`` has no sphere, and ``adamw`` no edge."""
    fields: dict[str, float | None] = {"stable": 76.0, "sphere_stable": 19.0}
    if arm == "ws":
        fields |= {"sphere": None, "sphere_error": None, "sphere_stable": None}
    if arm == "adamw":
        fields |= {"stable": None, "sphere_stable": None}
    fields = {"sphere": 4.0 + seed, **fields}
    content = [entry(at, sharpness=8.0 + 0.1 * at + seed, **fields) for at in ITERATIONS]
    write_json(folder / NAME, content)
