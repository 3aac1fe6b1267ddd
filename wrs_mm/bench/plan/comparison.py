"""What a plan compares: the arms of each recipe, with their resolved configs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wrs_mm.bench.plan.backbones import Shapes, backbone_shapes, weights_of
from wrs_mm.bench.plan.differences import config_values, differing
from wrs_mm.bench.plan.expansion import PlannedArm, PlannedRun, planned_arms, planned_runs, pretraining_arms
from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.bench.plan.plan import Plan
from wrs_mm.bench.plan.pretraining import Origin
from wrs_mm.bench.plan.recipes import find_recipe
from wrs_mm.bench.plan.resolve import base_config, config_hash, resolve, with_seed
from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import config_reader

if TYPE_CHECKING:
    from mmengine.config import Config


_ADDRESS = 16
"""How many digits of a config's hash a pretraining is found by."""


@dataclass(frozen=True)
class ResolvedArm:
    """An arm within a scenario, resolved.

    Attributes:
        spec: The first of its runs: of an arm that is tuned, the first trial.
        config: What it trains.
        base: The recipe with the plan's ``cfg_options`` and its start, before optimizer, arm and seed; the
            arms of a recipe share it.
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
        self._shapes: dict[str, Shapes] = {}
        self._fits: dict[tuple[str, str], PlannedArm] = {}
        self._pretrainings: dict[tuple[str, str, int], PlannedRun] = {}

    def config(self, run: PlannedRun) -> Config:
        """What a run trains.

        Raises:
            PlanError: A part of the plan does not fit the recipe; the message names its line.
        """
        spec = self.spec(run)
        same = spec.model_copy(update={"seed": self.plan.seeds[0]}).model_dump_json()
        if same not in self._configs:
            with self._located(run.arm):
                self._configs[same] = resolve(spec, self._source(run.arm), self._read)
        return with_seed(self._configs[same], spec.seed)

    def spec(self, run: PlannedRun) -> RunSpec:
        """A run's spec, with the file that it starts from where that is a pretraining of the plan.

        Raises:
            PlanError: Its pretraining does not resolve, or none of the plan's has the run's backbone.
        """
        pretraining = self.pretraining(run)
        start = run.spec.start
        if pretraining is None or start is None:
            return run.spec
        file = weights_of(pretraining.spec).as_posix()
        return run.spec.model_copy(update={"start": start.model_copy(update={"checkpoint": file})})

    def pretraining(self, run: PlannedRun) -> PlannedRun | None:
        """The pretraining that a run starts from; None where it starts from none of the plan's.

        Raises:
            PlanError: It does not resolve, or none has the run's backbone.
        """
        start, origin = run.spec.start, run.arm.origin
        if start is None or origin is None or start.pretraining is None:
            return None
        fit = (run.arm.base_recipe, origin.name)
        key = (*fit, start.pretraining)
        if key not in self._pretrainings:
            if fit not in self._fits:
                self._fits[fit] = self._fitting(run.arm, origin)
            arm = self._fits[fit]
            spec = arm.spec(start.pretraining)
            config = self.config(PlannedRun(arm, spec))
            if "of" in config.model:
                raise self.plan.error(
                    f"the arm {spec.arm_label} changes what a backbone computes from its weights, and its "
                    "weights are all that a pretraining hands on; pretrain with another arm",
                    origin.entry.location,
                )
            address = config_hash(config.to_dict())[:_ADDRESS]
            self._pretrainings[key] = PlannedRun(arm, spec.model_copy(update={"pretraining": address}))
        return self._pretrainings[key]

    def _fitting(self, arm: PlannedArm, origin: Origin) -> PlannedArm:
        """Of an origin's pretrainings the first that has an arm's backbone."""
        wanted = self._backbone(arm)
        why = []
        for pretraining in pretraining_arms(self.plan, origin):
            found = self._backbone(pretraining)
            others = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
            if not others:
                return pretraining
            why.append(f"{pretraining.recipe.name} differs in {len(others)} tensors, {others[0]} among them")
        raise self.plan.error(
            f"no pretraining has the backbone of {arm.base_recipe}: {'; '.join(why)}", origin.entry.location
        )

    def _backbone(self, arm: PlannedArm) -> Shapes:
        """What there is in the backbone of an arm's recipe."""
        with self._located(arm):
            source = self._source(arm)
            plain = arm.spec(self.plan.seeds[0]).model_copy(update={"start": None})
            key = json.dumps([source, plain.cfg_options], sort_keys=True)
            if key not in self._shapes:
                try:
                    self._shapes[key] = backbone_shapes(base_config(plain, source, self._read))
                except ConfigError as error:
                    raise Mistake(f"recipe {arm.base_recipe!r}: {error}", "recipe") from None
            return self._shapes[key]

    def base(self, arm: PlannedArm) -> Config:
        """An arm's recipe with the plan's ``cfg_options``; arms of a recipe share it.

        Raises:
            PlanError: The recipe does not parse, or an option does not fit it.
        """
        name = json.dumps([arm.recipe.name, arm.recipe.cfg_options], sort_keys=True)
        if name not in self._bases:
            with self._located(arm):
                spec = self.spec(PlannedRun(arm, arm.spec(self.plan.seeds[0])))
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
        ResolvedArm(resolver.spec(first[id(arm)]), resolver.config(first[id(arm)]), resolver.base(arm))
        for arm in arms
    ]


def resolve_pretrainings(plan: Plan, resolver: Resolver) -> list[PlannedRun]:
    """The pretrainings that runs of a plan start from, each once, in the order in which they should start.

    Args:
        plan: The plan.
        resolver: What resolves its runs.

    Raises:
        PlanError: One does not resolve, or none has the backbone of a recipe.
    """
    # Whatever tuning finds for an arm, and whatever its trials are: each starts from one of these.
    runs = (PlannedRun(arm, arm.spec(seed)) for seed in plan.seeds for arm in planned_arms(plan))
    found = (resolver.pretraining(run) for run in runs)
    # What two arms would train alike is one.
    by_address: dict[str | None, PlannedRun] = {}
    for run in found:
        if run is not None:
            by_address.setdefault(run.spec.pretraining, run)
    return list(by_address.values())


def resolve_pretraining_arms(plan: Plan, resolver: Resolver) -> list[tuple[ResolvedArm, list[RunSpec]]]:
    """The arms of a plan's pretrainings, each by its first run, and all of its runs.

    Args:
        plan: The plan.
        resolver: What resolves its runs.

    Raises:
        PlanError: As :func:`resolve_pretrainings`.
    """
    by_arm: dict[tuple[str, ...], list[PlannedRun]] = {}
    for run in resolve_pretrainings(plan, resolver):
        key = (run.spec.recipe, run.spec.arm_label, run.spec.optimizer_label)
        by_arm.setdefault(key, []).append(run)
    return [
        (
            ResolvedArm(runs[0].spec, resolver.config(runs[0]), resolver.base(runs[0].arm)),
            [run.spec for run in runs],
        )
        for runs in by_arm.values()
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
