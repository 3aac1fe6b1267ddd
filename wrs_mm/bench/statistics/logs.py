"""The runs' logs as series of numbers by iteration.

mmengine writes a folder for every attempt at a training, with ``vis_data/scalars.json`` in it: one JSON
object a line. A run that was resumed has several, and repeats iterations.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.metrics import in_percent

Series = dict[int, float]
"""Values by iteration."""


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


def validations(record: Path, task: str) -> dict[int, dict[str, float]]:
    """The metrics by iteration, in percent, that a run kept in ``validations.json`` or a file like it."""
    try:
        entries = json.loads(record.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    measured = {int(entry["iteration"]): in_percent(entry["metrics"], task) for entry in entries}
    return dict(sorted(measured.items()))
