"""The runs that a plan stands for: recipes × starts × optimizers × learning rates × arms × seeds.

A plan with tuning has two stages: trials, which are known at once, and the finals of each arm, which are
known when its trials have shown what its best settings are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wrs_mm.bench.plan.entries import Optimizer, Recipe, Regularizer
from wrs_mm.bench.plan.mistakes import Location
from wrs_mm.bench.plan.plan import Plan
from wrs_mm.bench.plan.pretraining import Origin
from wrs_mm.bench.plan.search import Values, points
from wrs_mm.bench.plan.spec import FROM, RunSpec, Start


@dataclass(frozen=True)
class PlannedArm:
    """An arm with a recipe, an optimizer and a learning rate: runs that differ in nothing but their seed.

    Attributes:
        plan: The plan.
        recipe: Its recipe, under the name that its runs have.
        optimizer: Its optimizer.
        learning_rate: None for the recipe's.
        regularizer: The entry whose arm it is.
        options: The arm's options.
        baseline: Whether the others are compared with it.
        origin: Where its backbone comes from; None where the recipe says it.
        base_recipe: What the plan calls its recipe, without that.
    """

    plan: Plan
    recipe: Recipe
    optimizer: Optimizer
    learning_rate: float | None
    regularizer: Regularizer
    options: Mapping[str, Any]
    baseline: bool
    origin: Origin | None = None
    base_recipe: str = ""

    def spec(self, seed: int, settings: Mapping[str, Any] | None = None, trial: int | None = None) -> RunSpec:
        """The run with a seed.

        Args:
            seed: The seed.
            settings: What tuning says of it; None where nothing is tuned.
            trial: The trial's number; None for a run that is none.
        """
        return RunSpec(
            recipe=self.recipe.name,
            config=None if self.recipe.config == self.recipe.name else self.recipe.config,
            regularizer=self.regularizer.name,
            options=dict(self.options),
            settings={**self.regularizer.settings(), **(settings or {})},
            optimizer=self.optimizer.name,
            optimizer_options=self.optimizer.other_options(),
            learning_rate=self.learning_rate,
            cfg_options=_joined(self.plan.cfg_options, self.recipe.cfg_options),
            links=_joined(self.plan.links, self.recipe.links),
            seed=seed,
            trial=trial,
            split=self.plan.split,
            baseline=self.baseline,
            dynamics=self.plan.dynamics,
            start=self._start(seed),
        )

    def _start(self, seed: int) -> Start | None:
        """Where a run with a seed starts from."""
        origin = self.origin
        if origin is None:
            return None
        # Trials have seeds of their own, for which nothing is pretrained.
        seeds = self.plan.seeds
        own = origin.seed if origin.seed is not None else seed if seed in seeds else seeds[0]
        return Start(
            label=origin.label,
            recipe=self.base_recipe,
            checkpoint=origin.entry.checkpoint,
            pretraining=own if origin.arm else None,
        )

    @property
    def space(self) -> dict[str, Values]:
        """Where it is tuned; empty where the plan leaves it nothing to tune."""
        tuning = self.plan.tuning
        own = self.regularizer
        return tuning.space(own.name, own.settings(), self.optimizer.name) if tuning else {}

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """The settings of its trials, by their numbers; none where there is nothing to tune."""
        tuning = self.plan.tuning
        return points(self.space, tuning.trials) if tuning and self.space else []

    def trials(self) -> list[RunSpec]:
        """All of its trials, with all of their seeds."""
        return [self.trial(number, seed) for number in range(len(self.points)) for seed in self.trial_seeds]

    def trial(self, number: int, seed: int) -> RunSpec:
        """A trial with one of its seeds."""
        return self.spec(seed, self.points[number], number)

    @property
    def trial_seeds(self) -> list[int]:
        """The seeds of its trials."""
        return self.plan.tuning.seeds if self.plan.tuning else []

    def locate(self, part: str, *rest: Any) -> Location:
        """Where the plan says a part of the runs' spec.

        Args:
            part: A field of the spec.
            *rest: In ``settings``, ``cfg_options`` and ``links``, the key.
        """
        if part in ("regularizer", "settings"):
            return (*self.regularizer.location, *rest)
        if part == "split":
            # With tuning it need not be said.
            return ("split",) if self.plan.tuning is None else ("tuning",)
        if part == "optimizer":
            return self.optimizer.location
        if part == "start" and self.origin is not None:
            return self.origin.entry.location
        if part in ("cfg_options", "links"):
            own = rest[0] in getattr(self.recipe, part)
            return (*self.recipe.location, part, *rest) if own else (part, *rest)
        return self.recipe.location


def planned_arms(plan: Plan) -> list[PlannedArm]:
    """Every arm with every recipe, start, optimizer and learning rate, in the plan's order."""
    baseline = plan.baseline_arm()
    return [
        PlannedArm(
            plan,
            _named(recipe, origin),
            optimizer,
            rate,
            regularizer,
            options,
            baseline=(regularizer.name, options) == baseline,
            origin=origin,
            base_recipe=recipe.name,
        )
        for recipe in plan.recipes
        for origin in plan.origins
        for optimizer in plan.optimizers
        # The innermost that speaks of learning rates holds: the optimizer, the recipe, the plan.
        for rate in optimizer.own_rates() or recipe.learning_rates or plan.learning_rates
        for regularizer in plan.regularizers
        for options in regularizer.arms()
    ]


def _named(recipe: Recipe, origin: Origin | None) -> Recipe:
    """A recipe under the name that says where its backbone comes from."""
    if origin is None:
        return recipe
    return recipe.model_copy(update={"name": f"{recipe.name}{FROM}{origin.name}"})


def pretraining_arms(plan: Plan, origin: Origin) -> list[PlannedArm]:
    """The arms of a pretraining: one for each recipe that its entry lists.

    Args:
        plan: The plan.
        origin: One of its origins.
    """
    if origin.arm is None:
        return []
    within = origin.entry.plan(plan)
    return [
        arm
        for arm in planned_arms(within)
        if (arm.regularizer.name, arm.options, arm.optimizer) == origin.arm
    ]


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan.

    Attributes:
        arm: The arm that it belongs to.
        spec: What it is.
    """

    arm: PlannedArm
    spec: RunSpec


def _planned_trials(arms: Sequence[PlannedArm]) -> list[PlannedRun]:
    """The trials of some arms, in the order in which they should start.

    Their numbers change slowest: at any time all arms have had about as many.
    """
    tuned = [arm for arm in arms if arm.points]
    if not tuned:
        return []
    # All arms that are tuned have the same number of trials, with the same seeds.
    count, seeds = len(tuned[0].points), tuned[0].trial_seeds
    return [
        PlannedRun(arm, arm.trial(number, seed)) for number in range(count) for seed in seeds for arm in tuned
    ]


def planned_finals(chosen: Sequence[tuple[PlannedArm, Mapping[str, Any]]]) -> list[PlannedRun]:
    """The runs whose numbers are reported, in the order in which they should start.

    Seeds change slowest: after the first seed every comparison exists once.

    Args:
        chosen: Arms with the settings that tuning found for each; none for arms that are not tuned.
    """
    return [
        PlannedRun(arm, arm.spec(seed, settings))
        for seed in (chosen[0][0].plan.seeds if chosen else [])
        for arm, settings in chosen
    ]


def planned_runs(arms: Sequence[PlannedArm]) -> list[PlannedRun]:
    """The runs that are known before one of them has trained: trials, and finals of arms without any."""
    return [*_planned_trials(arms), *planned_finals([(arm, {}) for arm in arms if not arm.points])]


def expand(plan: Plan) -> list[RunSpec]:
    """The runs of a plan that are known before one of them has trained, in the order in which they start.

    Raises:
        PlanError: Two runs would share a folder.
    """
    by_id: dict[str, RunSpec] = {}
    for run in planned_runs(planned_arms(plan)):
        other = by_id.setdefault(run.spec.id, run.spec)
        if other is not run.spec:
            raise plan.error(
                f"recipes {other.recipe!r} and {run.spec.recipe!r} would share the folder {run.spec.id}; "
                "keep one of them",
                run.arm.locate("recipe"),
            )
    return list(by_id.values())


def _joined(general: Mapping[str, Any], particular: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the particular ones last: they are applied in this order."""
    return {**{key: value for key, value in general.items() if key not in particular}, **particular}
