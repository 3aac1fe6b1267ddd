"""Runs that have measured their weight noise: made-up numbers in the form of the hook's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from made_up_dynamics import run_data

from wrs_mm.bench.runs.weight_noise import parse
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.engine.hooks.weight_noise_hook import NAME
from wrs_mm.files import write_json


def layer(share: float, name: str = "a.weight") -> dict[str, Any]:
    """A layer as the file has it."""
    return {"layer": name, "size": 27, "patches": 100, "rank": 9.0, "share": share, "unseen": 0.25}


def noise(iteration: int, *shares: float) -> dict[str, Any]:
    """A measurement as the file has it."""
    layers = [layer(share, f"{place}.weight") for place, share in enumerate(shares)]
    return {"iteration": iteration, "layers": layers}


def noisy(arm: str, seed: int, *shares: float, **fields: Any) -> RunData:
    """A run of one layer, with the share before training and after it."""
    content = [noise(100 * place, share) for place, share in enumerate(shares)]
    measured = parse(json.dumps(content).encode()) if content else ()
    return run_data(arm, seed, weight_noise=measured, **fields)


def write_noise(folder: Path) -> None:
    """A run's file."""
    write_json(folder / NAME, [noise(0, 0.5), noise(100, 0.25)])
