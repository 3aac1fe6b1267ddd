"""Differences to the baseline class by class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from wrs_mm.bench.statistics.evaluations import EvaluatedRun
from wrs_mm.bench.statistics.over_seeds import mean_and_sd


class ClassDifference(NamedTuple):
    """An arm's difference to the baseline in one class.

    Attributes:
        name: The class's.
        values: One a seed, in points.
        mean: Over them.
    """

    name: str
    values: list[float]
    mean: float


def class_differences(runs: Iterable[EvaluatedRun], prefix: str) -> dict[str, list[ClassDifference]]:
    """By arm, the differences to the baseline in each class, paired by seed.

    Args:
        runs: Of one recipe, optimizer and learning rate.
        prefix: Of the evaluations to compare: ``bbox_``, ``segm_``, or nothing for segmentation.

    Returns:
        The classes of every arm in one order: by the first arm's means, smallest first.
    """
    runs = list(runs)
    baseline = next((run.spec.arm_label for run in runs if run.spec.baseline), None)
    values = {
        (run.spec.arm_label, run.spec.seed): dict(
            zip(evaluation.classes, evaluation.found.by_class().tolist(), strict=True)
        )
        for run in runs
        for evaluation in run.evaluations
        if evaluation.prefix == prefix
    }
    paired: dict[str, dict[str, list[float]]] = {}
    for (arm, seed), classes in values.items():
        other = values.get((baseline, seed)) if baseline is not None else None
        if arm == baseline or other is None:
            continue
        for name, value in classes.items():
            # A class without objects has no value (NaN is not equal to itself).
            if value == value and name in other and other[name] == other[name]:
                paired.setdefault(arm, {}).setdefault(name, []).append(value - other[name])
    first = next(iter(paired.values()), {})
    order = sorted(first, key=lambda name: mean_and_sd(first[name])[0])
    return {
        arm: [
            ClassDifference(name, classes[name], mean_and_sd(classes[name])[0])
            for name in order
            if name in classes
        ]
        for arm, classes in paired.items()
    }
