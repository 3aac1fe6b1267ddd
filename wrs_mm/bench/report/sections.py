"""The parts of the page that show one recipe, optimizer and learning rate at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from wrs_mm.bench.plan.differences import config_values, differing
from wrs_mm.bench.report.figures.base import Figure
from wrs_mm.bench.report.figures.classes import class_figure
from wrs_mm.bench.report.figures.curves import curve_figure
from wrs_mm.bench.report.figures.dynamics import (
    equilibrium_figure,
    norm_figure,
    schedule_figure,
    spread_figure,
)
from wrs_mm.bench.report.figures.learning import learning_figures
from wrs_mm.bench.report.figures.sharpness import sharpness_figure
from wrs_mm.bench.report.gallery import Gallery, make_gallery
from wrs_mm.bench.report.labels import SPLITS, scenario_of
from wrs_mm.bench.report.schedules import ScheduleAnswer, schedule_answers
from wrs_mm.bench.report.tables.base import Table
from wrs_mm.bench.report.tables.equilibria import equilibria_table
from wrs_mm.bench.report.tables.sharpness import sharpness_table
from wrs_mm.bench.report.tables.weights import weights_table
from wrs_mm.bench.statistics.benchmark import RunData, first_of_each_arm, main_metric
from wrs_mm.bench.statistics.by_class import class_differences
from wrs_mm.bench.statistics.curves import loss_curves, validation_curves
from wrs_mm.bench.statistics.dynamics import Watched, watched_runs
from wrs_mm.bench.statistics.equilibria import equilibria
from wrs_mm.bench.statistics.evaluations import EvaluatedRun
from wrs_mm.bench.statistics.learning import Learning, learning_curves
from wrs_mm.bench.statistics.sharpness import last_sharpness, sharp_runs
from wrs_mm.bench.statistics.weights import arm_weights

_PREDICTIONS = {"bbox_": "box AP", "segm_": "mask AP", "": "IoU"}
"""What is compared class by class, by the prefix of its metrics."""


class ConfigDifferences(NamedTuple):
    """What differed between the arms of one recipe.

    Attributes:
        title: The recipe.
        arms: Labels, the baseline's first.
        rows: A config key and its value in each arm.
    """

    title: str
    arms: list[str]
    rows: list[tuple[str, list[str]]]


class DynamicsSection(NamedTuple):
    """What training did to the weights of one recipe.

    Attributes:
        title: The recipe.
        answers: Whether the arms trained with the baseline's effective schedule.
        schedules: The figure of that.
        others: Norms, and single filters.
        equilibrium: Weight decay beside theory, where there is any.
        table: The same in numbers.
        weights: How many weights are in all of it.
        left_out: Arms that are not, with the number of weights that they have watched.
    """

    title: str
    answers: list[ScheduleAnswer]
    schedules: Figure | None
    others: list[Figure]
    equilibrium: Figure | None
    table: Table | None
    weights: int
    left_out: dict[str, int]


class SharpnessSection(NamedTuple):
    """How sharp the loss of one recipe was.

    Attributes:
        figure: Over training; None where nothing was positive.
        table: At the last measurement.
    """

    figure: Figure | None
    table: Table


class Sections:
    """One recipe, optimizer and learning rate.

    Args:
        runs: Its runs, in the order of their arms.
        evaluated: Those of all runs that are done, by their ids.
        palette: A color by arm.
    """

    def __init__(
        self, runs: Sequence[RunData], evaluated: Mapping[str, EvaluatedRun], palette: Mapping[str, str]
    ) -> None:
        self.title = scenario_of(runs[0].spec.scenario)
        self.metric = main_metric(runs)
        self._runs = runs
        self._evaluated = evaluated
        self._palette = palette

    def curves(self) -> list[Figure]:
        """Training loss and main metric."""
        drawn = [("training loss", "loss", loss_curves(self._runs))]
        metric = self.metric
        if metric is not None:
            what = f"{metric} on {SPLITS['tune']}"
            drawn.append((what, "percent", validation_curves(self._runs, metric)))
        return [
            curve_figure(f"{self.title}: {what}", unit, by_arm, self._palette)
            for what, unit, by_arm in drawn
            if by_arm
        ]

    @cached_property
    def learning(self) -> dict[str, Learning]:
        """The arms' learning curves in the main metric; empty where nothing was measured on train."""
        return {} if self.metric is None else learning_curves(self._runs, self.metric)

    def learning_figures(self) -> list[Figure]:
        """Train and tune during training, a plot an arm."""
        return learning_figures(self.metric or "", self.learning, self._palette)

    @cached_property
    def _watched(self) -> Watched:
        return watched_runs(self._runs)

    def dynamics(self) -> DynamicsSection | None:
        """What training did to the weights; None where no run has watched its own."""
        watched = self._watched
        if not watched.runs:
            return None
        others = [
            norm_figure(f"{self.title}: norms of the filters", watched, self._palette),
            spread_figure(f"{self.title}: angular updates of single filters", watched, self._palette),
        ]
        return DynamicsSection(
            self.title,
            schedule_answers(watched),
            schedule_figure(
                f"{self.title}: effective learning rate and angular update", watched, self._palette
            ),
            [figure for figure in others if figure is not None],
            equilibrium_figure(f"{self.title}: weight decay and its equilibrium", watched, self._palette),
            equilibria_table(equilibria(watched)),
            len(watched.runs[0].dynamics.contents.weights),
            watched.left_out,
        )

    def weights(self) -> Table | None:
        """What training did to the weights, in numbers; None where no run has measured it."""
        return weights_table(self.title, arm_weights(self._runs, self._watched))

    def sharpness(self) -> SharpnessSection | None:
        """How sharp the loss was; None where no run has measured it."""
        runs = sharp_runs(self._runs)
        if not runs:
            return None
        figure = sharpness_figure(f"{self.title}: sharpness and the edge of stability", runs, self._palette)
        return SharpnessSection(figure, sharpness_table(self.title, last_sharpness(runs)))

    def classes(self) -> list[Figure]:
        """Differences to the baseline class by class, of each kind of prediction."""
        own = [self._evaluated[run.spec.id] for run in self._runs if run.spec.id in self._evaluated]
        by_name = {name: class_differences(own, prefix) for prefix, name in _PREDICTIONS.items()}
        return [
            class_figure(
                f"{self.title}: {name} by class",
                f"points of {name} against the baseline",
                by_arm,
                self._palette,
            )
            for name, by_arm in by_name.items()
            if by_arm
        ]

    def gallery(self) -> Gallery | None:
        """Ground truth, baseline and weight rescaling side by side."""
        done = [run for run in self._runs if run.spec.id in self._evaluated and run.has_predictions()]
        pair = _shown_pair(done)
        if pair is None:
            return None
        return make_gallery(f"{self.title}, seed {pair[0].spec.seed}", pair)

    def config_differences(self) -> ConfigDifferences:
        """What differed between the arms, from the configs that the runs trained with."""
        first = first_of_each_arm(self._runs)
        contents = [config_values(run.config or {}) for run in first]
        for content in contents:
            content.pop("randomness.seed", None)
        rows = [(key, [_shown(value) for value in values]) for key, values in differing(contents).items()]
        return ConfigDifferences(self.title, [run.spec.arm_label for run in first], rows)


def _shown_pair(runs: Sequence[RunData]) -> tuple[RunData, RunData] | None:
    """The baseline and the arm beside it: weight rescaling where the plan has it; of one seed."""
    for baseline in sorted((run for run in runs if run.spec.baseline), key=lambda run: run.spec.seed):
        others = [run for run in runs if run.spec.seed == baseline.spec.seed and not run.spec.baseline]
        others.sort(key=lambda run: run.spec.regularizer != "wrs")
        if others:
            return baseline, others[0]
    return None


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
