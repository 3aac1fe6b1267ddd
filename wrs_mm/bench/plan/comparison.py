"""What a plan compares: the arms of each recipe, with their resolved configs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrs_mm.bench.plan.differences import config_values, differing
from wrs_mm.bench.plan.expansion import PlannedArm, planned_arms
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
    """An arm within a scenario, resolved: runs that differ in nothing but their seed.

    Attributes:
        spec: The first of them.
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

    def run(self, seed: int) -> tuple[RunSpec, Config]:
        """The run with a seed, and what it trains."""
        return self.spec.model_copy(update={"seed": seed}), with_seed(self.config, seed)


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


def resolve_arms(plan: Plan) -> list[ResolvedArm]:
    """Resolve what a plan trains with its first seed; other seeds change that key alone.

    Every file is read once, because reading takes most of the time.

    Raises:
        PlanError: A part of the plan does not fit a recipe; the message names its line.
    """
    read = config_reader()
    bases: dict[str, Config] = {}

    def resolved(arm: PlannedArm) -> ResolvedArm:
        spec, source = arm.spec(plan.seeds[0]), find_recipe(arm.recipe.config, plan.folder)
        try:
            config = resolve(spec, source, read)
            if spec.recipe not in bases:
                bases[spec.recipe] = base_config(spec, source, read)
        except Mistake as mistake:
            raise plan.error(str(mistake), arm.locate(*mistake.location)) from mistake
        return ResolvedArm(spec, config, bases[spec.recipe])

    return [resolved(arm) for arm in planned_arms(plan)]


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
