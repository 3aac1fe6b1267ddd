"""Training and validation curves of the arms, from the runs' logs alone.

mmengine writes a folder for every attempt at a training, with ``vis_data/scalars.json`` in it: one JSON
object a line. A run that was resumed has several, and repeats iterations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.metrics import in_percent

_MOST_POINTS = 400
"""Points of a curve that a page shows; more than a screen has pixels only makes the file large."""

Series = dict[int, float]
"""Values by iteration."""


class Curve(NamedTuple):
    """An arm's curve over its seeds.

    Attributes:
        steps: Iterations.
        mean: Over the seeds that got there.
        low: The lowest of them.
        high: The highest.
        seeds: How many got there.
    """

    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]
    seeds: list[int]


def training_losses(run: Run) -> Series:
    """The training loss of a run by iteration, as logged; of a repeated iteration, the last attempt's."""
    losses: Series = {}
    # Folders are named after the time at which an attempt began.
    for path in sorted(run.folder.glob("*/vis_data/scalars.json")):
        attempt: Series = {}
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            record = _record(line)
            if "loss" in record and "step" in record:
                attempt[int(record["step"])] = float(record["loss"])
        if attempt:
            # What an attempt trains again counts no more, logged at the same iterations or not.
            losses = {step: loss for step, loss in losses.items() if step < min(attempt)}
            losses |= attempt
    return {step: loss for step, loss in sorted(losses.items()) if math.isfinite(loss)}


def _record(line: str) -> dict[str, float]:
    """A line of a log; empty for one that a kill cut short."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def validations(run: Run, metric: str, task: str) -> Series:
    """A metric of a run by iteration, in percent, at each of its validations."""
    try:
        entries = json.loads(run.validations.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    measured = {int(entry["iteration"]): in_percent(entry["metrics"], task) for entry in entries}
    return {step: metrics[metric] for step, metrics in sorted(measured.items()) if metric in metrics}


def over_seeds(runs: Iterable[Mapping[int, float]]) -> Curve:
    """Mean and spread of several runs, thinned to what a page can show."""
    series = [values for values in runs if values]
    steps = sorted({step for values in series for step in values})
    if len(steps) > _MOST_POINTS:
        keep = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).round().astype(int))
        steps = [steps[index] for index in keep]
    found = [[values[step] for values in series if step in values] for step in steps]
    return Curve(
        steps,
        [float(np.mean(values)) for values in found],
        [min(values) for values in found],
        [max(values) for values in found],
        [len(values) for values in found],
    )
