"""What a run measured at each of its validations: ``validations.json``.

A run that is resumed does not repeat the validations before its checkpoint, and mmengine forgets what
they gave. With this file the best one is the same whether a run was interrupted or not, and a
validation that a kill cut short is made up for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wrs_mm.bench.runs.metrics import finite_numbers, in_percent, main_key, metric_name
from wrs_mm.bench.runs.records import Best
from wrs_mm.files import write_json


class Validation(NamedTuple):
    """One validation.

    Attributes:
        iteration: Updates done.
        metrics: The finite numbers among what the evaluator returned, under its names.
    """

    iteration: int
    metrics: dict[str, float]


class Validations:
    """The validations of a run, oldest first, in a file.

    Args:
        path: The file; absent before the first validation.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._all: list[Validation] = []
        if path.exists():
            self._all = [Validation(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]

    def forget_after(self, iteration: int) -> None:
        """Drop what a resumed run will measure again.

        Args:
            iteration: Updates done in the checkpoint that training goes on from.
        """
        self._all = [entry for entry in self._all if entry.iteration <= iteration]

    def add(self, iteration: int, metrics: Mapping[str, Any]) -> None:
        """Add a validation; one of the same iteration is replaced."""
        self._all = [entry for entry in self._all if entry.iteration < iteration]
        self._all.append(Validation(iteration, finite_numbers(metrics)))

    def write(self) -> None:
        """Write the file."""
        write_json(self._path, [entry._asdict() for entry in self._all])

    def at(self, iteration: int) -> dict[str, float] | None:
        """What was measured after that many updates."""
        return next((entry.metrics for entry in self._all if entry.iteration == iteration), None)

    def number(self, index: int) -> dict[str, float] | None:
        """What the validation with that place in the order measured; None if there was none yet."""
        return self._all[index].metrics if index < len(self._all) else None

    def best(self, key: str | None, rule: str, task: str) -> Best | None:
        """The best validation; of equal ones the first, as mmengine has it.

        Args:
            key: The evaluator's metric to go by; None for the task's main one, ``auto`` for the
                evaluator's first.
            rule: ``greater`` or ``less``.
            task: ``detection``, ``segmentation`` or ``classification``.
        """
        if not self._all:
            return None
        keys = list(self._all[0].metrics)
        if key == "auto":
            key = keys[0] if keys else None
        elif key is None:
            key = main_key(keys, task)
        measured = [entry for entry in self._all if key in entry.metrics]
        if key is None or not measured:
            return None
        sign = -1 if rule == "less" else 1
        found = max(measured, key=lambda entry: sign * entry.metrics[key])
        return Best(
            metrics=in_percent(found.metrics, task),
            iteration=found.iteration,
            key=metric_name(key),
        )
