"""What tuning found of each arm: its trials, its best settings, and what that took.

Settings are chosen on ``tune`` (:mod:`wrs_mm.bench.statistics.selection`). Everything else that is said of
trials is said of their metrics on the split that the plan's tables report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from wrs_mm.bench.plan.search import LR, Range, Space, at_border
from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.benchmark import BenchmarkData, RunData, arm_order
from wrs_mm.bench.statistics.landscape import Landscape, landscape
from wrs_mm.bench.statistics.over_trials import BestOfK, Expected, best_of_k, expected_best
from wrs_mm.bench.statistics.robustness import Share, shares_near_best
from wrs_mm.bench.statistics.selection import Arm, choose


@dataclass(frozen=True)
class Trial:
    """A trial whose runs are all through.

    Attributes:
        number: Its number.
        settings: What it was trained at.
        tune: Its score on tune, the mean over its seeds; NaN where it diverged.
        test: The same on test; NaN too where the plan does not measure test.
    """

    number: int
    settings: Mapping[str, Any]
    tune: float
    test: float

    @property
    def diverged(self) -> bool:
        """Whether it has no score."""
        return math.isnan(self.tune)


@dataclass(frozen=True)
class ArmTuning:
    """An arm in a scenario, and what its trials have shown.

    Attributes:
        spec: One of its trials' runs.
        task: ``detection`` or ``segmentation``; empty before a run has a result.
        metric: What scores are; None before it was measured.
        space: The values of each setting that was looked for.
        planned: How many trials it has when all are through.
        trial_seeds: How many runs each of them has.
        trials: Those that are, by number.
        best: The one that was chosen; None while a trial is not through, or where all diverged.
        finals: The metric on test of the runs at its settings, by seed.
        border: The best trial's settings that lie at the border of the search, and the plan's key to widen.
    """

    spec: RunSpec
    task: str
    metric: str | None
    space: Space
    planned: int
    trial_seeds: int
    trials: tuple[Trial, ...]
    best: Trial | None
    finals: Mapping[int, float]
    border: Mapping[str, str]

    @property
    def arm(self) -> Arm:
        """The scenario, and the arm's label."""
        return self.spec.scenario, self.spec.arm_label

    @property
    def diverged(self) -> int:
        """How many trials diverged."""
        return sum(trial.diverged for trial in self.trials)

    @property
    def hopeless(self) -> bool:
        """Whether all trials are through, and all diverged."""
        return self.diverged == self.planned

    @property
    def on_test(self) -> bool:
        """Whether the metric on test is known of every trial that has not diverged, and there is one."""
        trained = [trial for trial in self.trials if not trial.diverged]
        return bool(trained) and not any(math.isnan(trial.test) for trial in trained)

    @cached_property
    def effort(self) -> list[BestOfK]:
        """What is to be expected from k of the trials, for k = 1, 2, …; nothing without metrics on test."""
        if not self.on_test:
            return []
        rates = [trial.settings.get(LR, 0.0) for trial in self.trials]
        return best_of_k(self._tune(), self._test(), rates)

    @cached_property
    def expected(self) -> list[Expected]:
        """What is to be expected from k random settings, with intervals; nothing where there is no landscape."""
        found = self._landscape
        return [] if found is None else expected_best(found, [best.k for best in self.effort])

    @cached_property
    def near_best(self) -> list[Share]:
        """Which share of the search space is nearly as good as the best; nothing without a landscape."""
        return [] if self._landscape is None else shares_near_best(self._landscape)

    @cached_property
    def _landscape(self) -> Landscape | None:
        places = self._places()
        if self.best is None or not self.on_test or places is None:
            return None
        best = self.trials.index(self.best)
        finals = list(self.finals.values())
        return landscape(places, self._tune(), self._test(), best, finals, self.trial_seeds)

    def _tune(self) -> list[float]:
        return [trial.tune for trial in self.trials]

    def _test(self) -> list[float]:
        return [trial.test for trial in self.trials]

    def _places(self) -> list[list[float]] | None:
        """Where in the search space the trials are, each setting from 0 to 1.

        None where a setting is one of some choices: between these there is nothing.
        """
        ranges = {name: values for name, values in self.space.items() if isinstance(values, Range)}
        if len(ranges) < len(self.space):
            return None
        return [
            [values.share(trial.settings[name]) for name, values in ranges.items()] for trial in self.trials
        ]


def tuned_arms(benchmark: BenchmarkData) -> list[ArmTuning]:
    """What tuning found of each arm that is tuned, recipe by recipe, the baseline first.

    Args:
        benchmark: A benchmark; one without tuning has none.
    """
    if benchmark.tuning is None:
        return []
    trials: dict[Arm, list[RunData]] = {}
    finals: dict[Arm, list[RunData]] = {}
    for run in benchmark.runs:
        runs = finals if run.spec.trial is None else trials
        runs.setdefault((run.spec.scenario, run.spec.arm_label), []).append(run)
    found = [_arm_tuning(benchmark.tuning, own, finals.get(arm, ())) for arm, own in trials.items()]
    return sorted(found, key=_order)


def scenarios(arms: Iterable[ArmTuning]) -> list[list[ArmTuning]]:
    """Arms that are compared with each other."""
    groups: dict[Scenario, list[ArmTuning]] = {}
    for one in arms:
        groups.setdefault(one.spec.scenario, []).append(one)
    return list(groups.values())


def _order(one: ArmTuning) -> tuple[Any, ...]:
    recipe, optimizer, rate = one.spec.scenario
    scenario = recipe, optimizer, -math.inf if rate is None else rate
    return (*scenario, not one.spec.baseline, arm_order(one.spec.regularizer, one.spec.options))


def _arm_tuning(tuning: Tuning, trials: Sequence[RunData], finals: Iterable[RunData]) -> ArmTuning:
    choice = choose([(run.spec, run.result) for run in trials])
    spec, metric = trials[0].spec, choice.metric
    # What the plan gives an arm is among the settings of its trials, the same in all of them.
    varied = {
        name
        for name in spec.settings
        if any(run.spec.settings[name] != spec.settings[name] for run in trials)
    }
    searched = tuning.space(spec.regularizer)
    space = {name: values for name, values in searched.items() if name in varied}
    scored = {
        number: Trial(
            number,
            choice.points[number],
            math.nan if score is None else score,
            math.nan if score is None else _on_test(trials, number, metric),
        )
        for number, score in sorted(choice.scores.items())
    }
    best = None if choice.trial is None else scored[choice.trial]
    border = at_border(space, best.settings) if best else []
    return ArmTuning(
        spec=spec,
        task=next((run.result.task for run in trials if run.result), ""),
        metric=metric,
        space=space,
        planned=len(choice.points),
        trial_seeds=len(tuning.seeds),
        trials=tuple(scored.values()),
        best=best,
        finals={
            run.spec.seed: run.result.test[metric]
            for run in finals
            if run.result and run.status is Status.DONE and metric in run.result.test
        },
        border={name: tuning.key(spec.regularizer, name) for name in border},
    )


def _on_test(trials: Iterable[RunData], number: int, metric: str | None) -> float:
    """A trial's mean over its seeds; NaN where one of them has none."""
    results = [run.result for run in trials if run.spec.trial == number]
    values = [result.test.get(metric, math.nan) if result and metric else math.nan for result in results]
    return fmean(values) if values else math.nan
