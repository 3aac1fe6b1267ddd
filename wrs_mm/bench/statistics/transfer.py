"""Pretrained with × finetuned with: what each of the two does, and whether one depends on the other.

A cell's values are taken by unit: by the seed of the finetuning or, where an arm was pretrained with several
seeds, by the pretraining's, after a mean over the finetunings that start from one. A pretraining is shared by
all runs that start from it, so these are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.bench.statistics.benchmark import RunData, in_arm_order, main_metric, without_trials
from wrs_mm.bench.statistics.curves import Curve, curve_over_seeds
from wrs_mm.bench.statistics.over_seeds import interval, mean_and_sd

Units = Mapping[int, float]
"""A metric in percent by unit."""


class Effect(NamedTuple):
    """A difference in points of the metric, paired by unit.

    Attributes:
        value: The mean over units; NaN without any.
        low: The lower end of its 95 % interval; NaN for too few units.
        high: The upper end.
        units: How many.
    """

    value: float
    low: float
    high: float
    units: int


class Transfer(NamedTuple):
    """The matrix of one recipe.

    Attributes:
        scenario: The recipe, without its start, with optimizer and learning rate.
        metric: What was measured.
        starts: Its rows: what backbones were pretrained with.
        arms: Its columns: what it was finetuned with.
        cells: Values by row and column; empty ones where no run is done.
        start: The row that others are compared with: the one that was pretrained with the baseline's arm, or
            else the first.
        arm: The baseline's column.
        pretrained: By row, the main metric of the pretrainings themselves: mean, standard deviation over
            their seeds, and its name; none of a row that is no pretraining of the plan.
        one_each: Whether all of a row's runs start from one pretraining.
    """

    scenario: Scenario
    metric: str
    starts: list[str]
    arms: list[str]
    cells: Mapping[tuple[str, str], Units]
    start: str
    arm: str
    pretrained: Mapping[str, tuple[float, float, str]]
    one_each: bool

    def cell(self, start: str, arm: str) -> tuple[float, float]:
        """Mean and standard deviation over units; NaN where there are too few."""
        return mean_and_sd(list(self.cells[start, arm].values()))

    def of_start(self, start: str) -> Effect:
        """What a row's pretraining changes, averaged over the arms that it is finetuned with."""
        return _effect(
            [self.cells[key] for arm in self.arms for key in ((start, arm), (self.start, arm))],
            lambda values: float(np.mean(values[0::2]) - np.mean(values[1::2])),
        )

    def of_arm(self, arm: str) -> Effect:
        """What a column's arm changes, averaged over what it starts from."""
        return _effect(
            [self.cells[key] for start in self.starts for key in ((start, arm), (start, self.arm))],
            lambda values: float(np.mean(values[0::2]) - np.mean(values[1::2])),
        )

    def interaction(self, start: str, arm: str) -> Effect:
        """How much more an arm changes from one start than from the one that rows are compared with."""
        keys = [(start, arm), (start, self.arm), (self.start, arm), (self.start, self.arm)]
        return _effect(
            [self.cells[key] for key in keys],
            lambda values: (values[0] - values[1]) - (values[2] - values[3]),
        )


def _effect(cells: Sequence[Units], contrast: Callable[[list[float]], float]) -> Effect:
    """A contrast of cells, taken unit by unit where all of them have the unit."""
    shared = sorted(set(cells[0]).intersection(*cells[1:])) if cells else []
    values = [contrast([cell[unit] for cell in cells]) for unit in shared]
    low, high = interval(values)
    return Effect(mean_and_sd(values)[0], low, high, len(values))


def transfers(runs: Sequence[RunData]) -> list[Transfer]:
    """The matrix of each recipe that is trained from several starts.

    Args:
        runs: All of a benchmark, trials and pretrainings among them.
    """
    groups: dict[Scenario, list[RunData]] = {}
    for run in in_arm_order(without_trials(runs)):
        spec = run.spec
        if spec.start is not None:
            key = (spec.start.recipe, spec.optimizer_label, spec.learning_rate)
            groups.setdefault(key, []).append(run)
    pretrainings = {run.spec.id: run for run in runs if run.spec.pretraining is not None}
    found = (_transfer(scenario, own, pretrainings) for scenario, own in groups.items())
    return [one for one in found if one is not None and len(one.starts) > 1]


def _transfer(
    scenario: Scenario, runs: Sequence[RunData], pretrainings: Mapping[str, RunData]
) -> Transfer | None:
    metric = main_metric(runs)
    if metric is None:
        return None
    labels = list(dict.fromkeys(_label(run.spec) for run in runs))
    arms = list(dict.fromkeys(run.spec.arm_label for run in runs))
    baseline = next((run.spec.arm_label for run in runs if run.spec.baseline), arms[0])
    by_cell = {
        (start, arm): [run for run in runs if (_label(run.spec), run.spec.arm_label) == (start, arm)]
        for start in labels
        for arm in arms
    }
    seeds = {start: _seeds([run for run in runs if _label(run.spec) == start]) for start in labels}
    return Transfer(
        scenario=scenario,
        metric=metric,
        starts=labels,
        arms=arms,
        cells={key: _by_unit(own, metric, len(seeds[key[0]]) > 1) for key, own in by_cell.items()},
        start=baseline if baseline in labels else labels[0],
        arm=baseline,
        pretrained={
            start: measured
            for start in labels
            if (measured := _measured([r for r in runs if _label(r.spec) == start], pretrainings)) is not None
        },
        one_each=all(len(found) < 2 for found in seeds.values()),
    )


def _label(spec: RunSpec) -> str:
    assert spec.start is not None, "only runs that say where they start from are in a matrix"
    return spec.start.label


def _seeds(runs: Sequence[RunData]) -> set[int]:
    """The seeds of the pretrainings that runs start from."""
    starts = [run.spec.start for run in runs if run.spec.start is not None]
    return {start.pretraining for start in starts if start.pretraining is not None}


def _by_unit(runs: Sequence[RunData], metric: str, by_pretraining: bool) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for run in runs:
        value = run.reported.get(metric, math.nan)
        if math.isnan(value):
            continue
        start = run.spec.start
        own = start.pretraining if by_pretraining and start is not None else None
        found.setdefault(run.spec.seed if own is None else own, []).append(value)
    return {unit: float(np.mean(values)) for unit, values in sorted(found.items())}


def _measured(
    runs: Sequence[RunData], pretrainings: Mapping[str, RunData]
) -> tuple[float, float, str] | None:
    """The main metric of the pretrainings that runs start from."""
    files = {str(run.spec.start.checkpoint) for run in runs if run.spec.start is not None}
    # A pretraining leaves its weights in its own folder, which is called by its id.
    own = [
        pretrainings[name]
        for file in sorted(files)
        if (name := PurePosixPath(file).parent.name) in pretrainings
    ]
    metric = main_metric(own)
    if metric is None:
        return None
    values = [run.reported[metric] for run in own if metric in run.reported]
    return (*mean_and_sd(values), metric)


class SizeCurves(NamedTuple):
    """Transfer against the size of the target's training set.

    Attributes:
        config: The recipe's config.
        arm: What was finetuned with.
        metric: What was measured.
        curves: One a start, whose steps are numbers of images.
    """

    config: str
    arm: str
    metric: str
    curves: dict[str, Curve]


def size_curves(runs: Sequence[RunData]) -> list[SizeCurves]:
    """Recipes that differ in nothing but how many training images there are, arm by arm.

    Args:
        runs: All of a benchmark.
    """
    groups: dict[tuple[str, str], list[tuple[int, RunData]]] = {}
    for run in in_arm_order(without_trials(runs)):
        images = _training_images(run.spec)
        if images is not None and run.spec.start is not None:
            key = (run.spec.config or run.spec.start.recipe, run.spec.arm_label)
            groups.setdefault(key, []).append((images, run))
    found = []
    for (config, arm), listed in groups.items():
        metric = main_metric([run for _, run in listed])
        if metric is None or len({images for images, _ in listed}) < 2:
            continue
        curves = {
            label: curve_over_seeds(
                _by_images([one for one in listed if _label(one[1].spec) == label], metric)
            )
            for label in dict.fromkeys(_label(run.spec) for _, run in listed)
        }
        kept = {label: curve for label, curve in curves.items() if curve.steps}
        found.append(SizeCurves(config, arm, metric, kept))
    return found


def _training_images(spec: RunSpec) -> int | None:
    """How many training images a plan's ``cfg_options`` leave; None where they say nothing of it."""
    for key, value in spec.cfg_options.items():
        if key.startswith("train_dataloader.") and key.endswith(".indices") and isinstance(value, int):
            return value
    return None


def _by_images(runs: Sequence[tuple[int, RunData]], metric: str) -> list[dict[int, float]]:
    """The metric by the number of images, for each seed, and each pretraining with it."""
    found: dict[tuple[int, int | None], dict[int, float]] = {}
    for images, run in runs:
        if metric in run.reported:
            before = run.spec.start.pretraining if run.spec.start else None
            found.setdefault((run.spec.seed, before), {})[images] = run.reported[metric]
    return list(found.values())
