"""Pretrained with × finetuned with: what each of the two does, and whether one depends on the other.

What varies is taken by unit: the seed of the finetuning or, where an arm was pretrained with several seeds,
the pretraining's, with a mean over the finetunings that start from one. A pretraining is shared by all runs
that start from it, so these are not independent of each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from wrs_mm.bench.plan.spec import RunSpec, Scenario, Split
from wrs_mm.bench.runs.records import StartNorms
from wrs_mm.bench.statistics.benchmark import RunData, in_arm_order, main_metric, without_trials
from wrs_mm.bench.statistics.curves import Curve, curve_over_seeds
from wrs_mm.bench.statistics.over_seeds import MIN_PAIRS, Effect, effect_over, mean_and_sd

Values = Mapping[tuple[int, int], float]
"""A metric in percent by unit and seed of the finetuning."""


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
        norms: By row, the norms of the filters that its runs began with: of the first run that is done.
        one_each: Whether all of a row's runs start from one pretraining.
        split: Which split the cells are from.
    """

    scenario: Scenario
    metric: str
    starts: list[str]
    arms: list[str]
    cells: Mapping[tuple[str, str], Values]
    start: str
    arm: str
    pretrained: Mapping[str, tuple[float, float, str]]
    norms: Mapping[str, StartNorms]
    one_each: bool
    split: Split

    def cell(self, start: str, arm: str) -> tuple[float, float]:
        """Mean and standard deviation over units; NaN where there are too few."""
        return mean_and_sd(_by_unit(self.cells[start, arm]))

    def of_start(self, start: str) -> Effect:
        """What a row's pretraining changes, averaged over the arms that it is finetuned with."""
        return self._effect({start: 1.0, self.start: -1.0}, dict.fromkeys(self.arms, 1 / len(self.arms)))

    def of_arm(self, arm: str) -> Effect:
        """What a column's arm changes, averaged over what it starts from."""
        return self._effect(dict.fromkeys(self.starts, 1 / len(self.starts)), {arm: 1.0, self.arm: -1.0})

    def interaction(self, start: str, arm: str) -> Effect:
        """How much more an arm changes from one start than from the one that rows are compared with."""
        return self._effect({start: 1.0, self.start: -1.0}, {arm: 1.0, self.arm: -1.0})

    def _effect(self, starts: Mapping[str, float], arms: Mapping[str, float]) -> Effect:
        """A contrast of cells: their sum, each times the factors of its row and of its column.

        Within a row all runs are paired. So are rows whose units are the same; others are independent, and
        the interval is Welch's.
        """
        rows = {start: _contrast({arm: self.cells[start, arm] for arm in arms}, arms) for start in starts}
        if len({self._has_pretrainings_for_units(start) for start in starts}) == 1:
            paired = _by_unit(_contrast(rows, starts))
            if paired:
                return effect_over(paired)
        return _independent([(factor, _by_unit(rows[start])) for start, factor in starts.items()])

    def _has_pretrainings_for_units(self, start: str) -> bool:
        return any(unit != seed for arm in self.arms for unit, seed in self.cells[start, arm])


def _contrast(values: Mapping[str, Values], factors: Mapping[str, float]) -> Values:
    """The sum of values, each times its factor, for every unit and seed that all of them have."""
    shared = set.intersection(*(set(one) for one in values.values()))
    return {key: sum(factors[name] * values[name][key] for name in values) for key in sorted(shared)}


def _by_unit(values: Values) -> list[float]:
    """A value for each unit: the mean over its finetunings."""
    found: dict[int, list[float]] = {}
    for (unit, _), value in sorted(values.items()):
        found.setdefault(unit, []).append(value)
    return [float(np.mean(own)) for own in found.values()]


def _independent(rows: Sequence[tuple[float, Sequence[float]]]) -> Effect:
    """The sum of independent means, each times a factor, with Welch's interval."""
    fewest = min(len(values) for _, values in rows)
    if fewest == 0:
        return Effect(math.nan, math.nan, math.nan, 0)
    value = sum(factor * float(np.mean(values)) for factor, values in rows)
    if fewest < MIN_PAIRS:
        return Effect(value, math.nan, math.nan, fewest)
    variances = np.array([factor**2 * np.var(values, ddof=1) / len(values) for factor, values in rows])
    freedom = variances.sum() ** 2 / sum(
        v**2 / (len(own) - 1) for v, (_, own) in zip(variances, rows, strict=True)
    )
    half = float(stats.t.ppf(0.975, freedom) * np.sqrt(variances.sum()))
    return Effect(value, value - half, value + half, fewest)


def transfers(runs: Sequence[RunData]) -> list[Transfer]:
    """The matrix of each recipe that is trained from several starts, or from filters whose norms are known.

    Args:
        runs: All of a benchmark, trials and pretrainings among them.
    """
    groups: dict[Scenario, list[RunData]] = {}
    for run in in_arm_order(without_trials(runs)):
        spec = run.spec
        if spec.start is not None:
            key = (spec.start.recipe, spec.optimizer_label, spec.learning_rate)
            groups.setdefault(key, []).append(run)
    pretrainings = {address: run for run in runs if (address := run.spec.pretraining) is not None}
    found = (_transfer(scenario, own, pretrainings) for scenario, own in groups.items())
    return [one for one in found if one is not None and (len(one.starts) > 1 or one.norms)]


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
        cells={key: _values(own, metric, len(seeds[key[0]]) > 1) for key, own in by_cell.items()},
        start=_reference(labels, baseline),
        arm=baseline,
        pretrained={
            start: measured
            for start in labels
            if (measured := _measured([r for r in runs if _label(r.spec) == start], pretrainings)) is not None
        },
        norms={
            start: norms
            for start in reversed(labels)
            for run in reversed(runs)
            if _label(run.spec) == start and run.result and (norms := run.result.start_norms)
        },
        one_each=all(len(found) < 2 for found in seeds.values()),
        split=runs[0].spec.split,
    )


def _reference(labels: Sequence[str], baseline: str) -> str:
    """The row of the baseline's arm, of several optimizers with the first; or else the first row."""
    if baseline in labels:
        return baseline
    # After an arm's name comes an optimizer's, or «(» and its options.
    with_optimizer = (one for one in labels if re.match(rf"{re.escape(baseline)} [^(]", one))
    return next(with_optimizer, labels[0])


def _label(spec: RunSpec) -> str:
    assert spec.start is not None, "only runs that say where they start from are in a matrix"
    return spec.start.label


def _seeds(runs: Sequence[RunData]) -> set[int]:
    """The seeds of the pretrainings that runs start from."""
    starts = [run.spec.start for run in runs if run.spec.start is not None]
    return {start.pretraining for start in starts if start.pretraining is not None}


def _values(runs: Sequence[RunData], metric: str, by_pretraining: bool) -> Values:
    """The metric of a cell's runs, as far as they have one."""
    found: dict[tuple[int, int], float] = {}
    for run in runs:
        value = run.reported.get(metric, math.nan)
        if math.isnan(value):
            continue
        start = run.spec.start
        own = start.pretraining if by_pretraining and start is not None else None
        found[run.spec.seed if own is None else own, run.spec.seed] = value
    return found


def _measured(
    runs: Sequence[RunData], pretrainings: Mapping[str, RunData]
) -> tuple[float, float, str] | None:
    """The main metric of the pretrainings that runs start from."""
    files = {str(run.spec.start.checkpoint) for run in runs if run.spec.start is not None}
    # A pretraining leaves its weights in its own folder, which is called by its address.
    addresses = [PurePosixPath(file).parent.name for file in sorted(files)]
    own = [pretrainings[address] for address in addresses if address in pretrainings]
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
    groups: dict[tuple[Any, ...], list[tuple[int, RunData]]] = {}
    for run in in_arm_order(without_trials(runs)):
        spec = run.spec
        images = _training_images(spec)
        if images is not None and spec.start is not None:
            key = (spec.config or spec.start.recipe, spec.arm_label, spec.optimizer_label, spec.learning_rate)
            groups.setdefault(key, []).append((images, run))
    found = []
    for (config, arm, *_), listed in groups.items():
        recipes = {(images, run.spec.start.recipe) for images, run in listed if run.spec.start is not None}
        if len(recipes) > len({images for images, _ in recipes}):
            continue  # recipes that differ in something else too
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
        if not math.isnan(run.reported.get(metric, math.nan)):
            before = run.spec.start.pretraining if run.spec.start else None
            found.setdefault((run.spec.seed, before), {})[images] = run.reported[metric]
    return list(found.values())
