"""What a plan compares: the arms of each recipe, with their resolved configs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrs_mm.bench.plan.differences import config_values, differing
from wrs_mm.bench.plan.expansion import PlannedArm, PlannedRun, planned_arms, planned_runs
from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.bench.plan.plan import Plan
from wrs_mm.bench.plan.recipes import find_recipe
from wrs_mm.bench.plan.resolve import base_config, resolve, with_seed
from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.openmmlab.configs import config_reader

if TYPE_CHECKING:
    from mmengine.config import Config


@dataclass(frozen=True)
class ResolvedArm:
    """An arm within a scenario, resolved.

    Attributes:
        spec: The first of its runs: of an arm that is tuned, the first trial.
        config: What it trains.
        base: The recipe with the plan's ``cfg_options``, before optimizer, arm and seed; the arms of a
            recipe share it.
    """

    spec: RunSpec
    config: Config
    base: Config

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The config by config key, from :func:`wrs_mm.bench.plan.differences.config_values`."""
        return config_values(self.config.to_dict())

    @property
    def label(self) -> str:
        """What distinguishes it from the other arms of its recipe."""
        rate = "" if self.spec.lr is None else f", lr={self.spec.lr:g}"
        optimizer = "" if self.spec.optimizer == RECIPE else f", {self.spec.optimizer_label}"
        return f"{self.spec.arm_label}{optimizer}{rate}"


@dataclass(frozen=True)
class Comparison:
    """What differs between the arms of one scenario, or of several that have the same answer.

    Attributes:
        where: The scenarios.
        arms: The arms' labels; the baseline's says so.
        rows: For each config key that differs its value in every arm.
    """

    where: list[Scenario]
    arms: list[str]
    rows: Mapping[str, list[Any]]


class Resolver:
    """Resolves the runs of a plan.

    Every file is read once, because reading takes most of the time, and runs that differ in nothing but
    their seed are resolved once.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._read = config_reader()
        self._bases: dict[str, Config] = {}
        self._configs: dict[str, Config] = {}

    def config(self, run: PlannedRun) -> Config:
        """What a run trains.

        Raises:
            PlanError: A part of the plan does not fit the recipe; the message names its line.
        """
        same = run.spec.model_copy(update={"seed": self.plan.seeds[0]}).id
        if same not in self._configs:
            with self._located(run.arm):
                self._configs[same] = resolve(run.spec, self._source(run.arm), self._read)
        return with_seed(self._configs[same], run.spec.seed)

    def base(self, arm: PlannedArm) -> Config:
        """An arm's recipe with the plan's ``cfg_options``; arms of a recipe share it.

        Raises:
            PlanError: The recipe does not parse, or an option does not fit it.
        """
        name = arm.recipe.name
        if name not in self._bases:
            with self._located(arm):
                spec = arm.spec(self.plan.seeds[0])
                self._bases[name] = base_config(spec, self._source(arm), self._read)
        return self._bases[name]

    def _source(self, arm: PlannedArm) -> str:
        return find_recipe(arm.recipe.config, self.plan.folder)

    @contextmanager
    def _located(self, arm: PlannedArm) -> Iterator[None]:
        try:
            yield
        except Mistake as mistake:
            raise self.plan.error(str(mistake), arm.locate(*mistake.location)) from mistake


def resolve_arms(plan: Plan, resolver: Resolver | None = None) -> list[ResolvedArm]:
    """Resolve the first run of every arm in every scenario of a plan.

    Args:
        plan: The plan.
        resolver: What resolves its runs; None for a new one.

    Raises:
        PlanError: A part of the plan does not fit a recipe; the message names its line.
    """
    resolver = resolver or Resolver(plan)
    arms = planned_arms(plan)
    first: dict[int, PlannedRun] = {}
    for run in planned_runs(arms):
        first.setdefault(id(run.arm), run)
    return [
        ResolvedArm(first[id(arm)].spec, resolver.config(first[id(arm)]), resolver.base(arm)) for arm in arms
    ]


def arm_differences(arms: Sequence[ResolvedArm]) -> list[Comparison]:
    """What differs between the arms of every scenario; scenarios with the same answer come as one."""
    found: list[Comparison] = []
    for scenario, compared in by_scenario(arms).items():
        labels = [arm.spec.arm_label + (" (baseline)" if arm.spec.baseline else "") for arm in compared]
        rows = differing([arm.values for arm in compared])
        for other in found:
            if (other.arms, other.rows) == (labels, rows):
                other.where.append(scenario)
                break
        else:
            found.append(Comparison([scenario], labels, rows))
    return found


def by_scenario(arms: Iterable[ResolvedArm]) -> dict[Scenario, list[ResolvedArm]]:
    """Arms by the scenario within which they are compared."""
    grouped: dict[Scenario, list[ResolvedArm]] = {}
    for arm in arms:
        grouped.setdefault(arm.spec.scenario, []).append(arm)
    return grouped
