"""What tuning found of each arm, for those who show it: how many trials there were, and what they found.

Settings are chosen on ``tune`` (:mod:`wrs_mm.bench.statistics.selection`). Everything else that is said of
trials is said of their metric on test (:mod:`wrs_mm.bench.statistics.searches`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from wrs_mm.bench.plan.search import Space, at_border
from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.benchmark import BenchmarkData, RunData, arm_order
from wrs_mm.bench.statistics.landscape import Landscape
from wrs_mm.bench.statistics.over_seeds import SCENARIO
from wrs_mm.bench.statistics.over_trials import BestOfK, Expected, expected_best
from wrs_mm.bench.statistics.results import options_json
from wrs_mm.bench.statistics.robustness import Share, shares_near_best
from wrs_mm.bench.statistics.searches import Search, searches
from wrs_mm.bench.statistics.selection import Arm, Choice, arm_of, choices


@dataclass(frozen=True)
class ArmTrials:
    """An arm in a scenario, and what its trials have shown.

    Attributes:
        spec: One of its trials' runs.
        task: ``detection``, ``segmentation`` or ``classification``; empty before a run has a result.
        choice: The scores of its trials on tune, and which one is the best.
        space: The values of each setting that is looked for.
        border: The best trial's settings that lie at the border of the search, and the plan's key to widen.
        search: Its trials on test; None where some have no metric there, though they have not diverged: the
            plan reports tune, or halving stopped them.
        lost: Why trials have no score, by number: ``diverged`` or ``stopped``.
    """

    spec: RunSpec
    task: str
    choice: Choice
    space: Space
    border: Mapping[str, str]
    search: Search | None
    lost: Mapping[int, Status]

    @property
    def label(self) -> str:
        """What the arm is called."""
        return self.spec.arm_label

    @property
    def planned(self) -> int:
        """How many trials it has when all are through."""
        return len(self.choice.points)

    @property
    def through(self) -> int:
        """How many are."""
        return len(self.choice.scores)

    def count(self, status: Status) -> int:
        """How many of these are lost in this way."""
        return sum(one is status for one in self.lost.values())

    @cached_property
    def best_of_k(self) -> list[BestOfK]:
        """What is to be expected of the best of k of its trials; nothing without metrics on test."""
        return [] if self.search is None else self.search.best_of_k()

    @cached_property
    def expected(self) -> list[Expected]:
        """What is to be expected of k random settings, with intervals; nothing without a landscape."""
        found = self._landscape
        return [] if found is None else expected_best(found, [one.k for one in self.best_of_k])

    @cached_property
    def near_best(self) -> list[Share]:
        """Which shares of the search space are nearly as good as the best; nothing without a landscape."""
        return [] if self._landscape is None else shares_near_best(self._landscape)

    @cached_property
    def _landscape(self) -> Landscape | None:
        return None if self.search is None else self.search.landscape(self.space)


def tuned_arms(benchmark: BenchmarkData) -> list[ArmTrials]:
    """What tuning found of each arm that is tuned, recipe by recipe, the baseline first.

    Args:
        benchmark: A benchmark; one without tuning has none.
    """
    if benchmark.tuning is None:
        return []
    trials: dict[Arm, list[RunData]] = {}
    for run in benchmark.runs:
        if run.spec.trial is not None:
            trials.setdefault(arm_of(run.spec), []).append(run)
    results = [(run.spec, run.result) for run in benchmark.runs]
    chosen, on_test = choices(results), searches(results)
    found = [_tuned_arm(benchmark.tuning, own, chosen[arm], on_test.get(arm)) for arm, own in trials.items()]
    return sorted(found, key=_order)


EFFORT_COLUMNS = (
    *("recipe", "optimizer", "learning_rate", "regularizer", "options", "metric", "k"),
    *("of_trials", "all_diverged", "expected", "low", "high"),
)
"""``of_trials``: mean test metric of the best on tune over all subsets of k of the trials made, and
``all_diverged`` the share of them in which every trial diverged. ``expected``, ``low``, ``high``: of k random
settings, with its 95 % interval; empty without a landscape."""


def effort(arms: Iterable[ArmTrials]) -> pd.DataFrame:
    """What k trials are worth, one row an arm and k, with :data:`EFFORT_COLUMNS`."""
    rows = []
    for one in arms:
        named = {
            **dict(zip(SCENARIO, one.spec.scenario, strict=True)),
            "regularizer": one.spec.regularizer,
            "options": options_json(one.spec.options),
            "metric": one.choice.metric,
        }
        expected = {found.k: found for found in one.expected}
        for best in one.best_of_k:
            row = {**named, "k": best.k, "of_trials": best.metric, "all_diverged": best.none}
            if best.k in expected:
                _, metric, low, high = expected[best.k]
                row |= {"expected": metric, "low": low, "high": high}
            rows.append(row)
    return pd.DataFrame(rows, columns=list(EFFORT_COLUMNS))


def by_tuned_scenario(arms: Iterable[ArmTrials]) -> list[list[ArmTrials]]:
    """Arms that are compared with each other."""
    groups: dict[Scenario, list[ArmTrials]] = {}
    for one in arms:
        groups.setdefault(one.spec.scenario, []).append(one)
    return list(groups.values())


def _order(one: ArmTrials) -> tuple[Any, ...]:
    recipe, optimizer, rate = one.spec.scenario
    scenario = recipe, optimizer, -math.inf if rate is None else rate
    return (*scenario, not one.spec.baseline, arm_order(one.spec.regularizer, one.spec.options))


def _tuned_arm(tuning: Tuning, trials: Sequence[RunData], choice: Choice, search: Search | None) -> ArmTrials:
    spec = trials[0].spec
    # What the plan gives an arm is among the settings of its trials, too: the same in all of them.
    space = {
        name: values
        for name, values in tuning.space(spec.regularizer, optimizer=spec.optimizer).items()
        if any(run.spec.settings[name] != spec.settings[name] for run in trials)
    }
    lost: dict[int, Status] = {}
    # A trial is diverged where a single one of its runs is.
    for status in (Status.STOPPED, Status.DIVERGED):
        of_status = {run.spec.trial for run in trials if run.status is status}
        lost |= {number: status for number in choice.scores if number in of_status}
    return ArmTrials(
        spec=spec,
        task=next((run.result.task for run in trials if run.result), ""),
        choice=choice,
        space=space,
        border={
            name: tuning.key(spec.regularizer, name, spec.optimizer)
            for name in at_border(space, choice.settings or {})
        },
        search=None if Status.STOPPED in lost.values() else search,
        lost=lost,
    )
