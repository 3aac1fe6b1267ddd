"""The runs that a plan stands for: recipes × optimizers × learning rates × arms × seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wrs_mm.bench.plan.entries import Optimizer, Recipe, Regularizer
from wrs_mm.bench.plan.mistakes import Location
from wrs_mm.bench.plan.plan import Plan
from wrs_mm.bench.plan.spec import RunSpec


@dataclass(frozen=True)
class PlannedArm:
    """An arm with a recipe, an optimizer and a learning rate: runs that differ in nothing but their seed.

    Attributes:
        plan: The plan.
        recipe: Its recipe.
        optimizer: Its optimizer.
        learning_rate: None for the recipe's.
        regularizer: The entry whose arm it is.
        options: The arm's options.
        baseline: Whether the others are compared with it.
    """

    plan: Plan
    recipe: Recipe
    optimizer: Optimizer
    learning_rate: float | None
    regularizer: Regularizer
    options: Mapping[str, Any]
    baseline: bool

    def spec(self, seed: int) -> RunSpec:
        """The run with a seed."""
        return RunSpec(
            recipe=self.recipe.name,
            config=None if self.recipe.config == self.recipe.name else self.recipe.config,
            regularizer=self.regularizer.name,
            options=dict(self.options),
            settings=self.regularizer.settings(),
            optimizer=self.optimizer.name,
            optimizer_options=self.optimizer.other_options(),
            learning_rate=self.learning_rate,
            cfg_options=_joined(self.plan.cfg_options, self.recipe.cfg_options),
            links=_joined(self.plan.links, self.recipe.links),
            seed=seed,
            split=self.plan.split,
            baseline=self.baseline,
        )

    def locate(self, part: str, *rest: Any) -> Location:
        """Where the plan says a part of the runs' spec.

        Args:
            part: A field of the spec.
            *rest: In ``settings``, ``cfg_options`` and ``links``, the key.
        """
        if part in ("regularizer", "settings"):
            return (*self.regularizer.location, *rest)
        if part == "split":
            return ("split",)
        if part == "optimizer":
            return self.optimizer.location
        if part in ("cfg_options", "links"):
            own = rest[0] in getattr(self.recipe, part)
            return (*self.recipe.location, part, *rest) if own else (part, *rest)
        return self.recipe.location


def planned_arms(plan: Plan) -> list[PlannedArm]:
    """Every arm with every recipe, optimizer and learning rate, in the plan's order."""
    baseline = plan.baseline_arm()
    return [
        PlannedArm(
            plan, recipe, optimizer, rate, regularizer, options, (regularizer.name, options) == baseline
        )
        for recipe in plan.recipes
        for optimizer in plan.optimizers
        # The innermost that speaks of learning rates holds: the optimizer, the recipe, the plan.
        for rate in optimizer.own_rates() or recipe.learning_rates or plan.learning_rates
        for regularizer in plan.regularizers
        for options in regularizer.arms()
    ]


def expand(plan: Plan) -> list[RunSpec]:
    """The runs of a plan, in the order in which they should start.

    Seeds change slowest: after the first seed every comparison exists once.

    Raises:
        PlanError: Two runs would share a folder.
    """
    by_id: dict[str, RunSpec] = {}
    arms = planned_arms(plan)
    for seed in plan.seeds:
        for arm in arms:
            spec = arm.spec(seed)
            other = by_id.setdefault(spec.id, spec)
            if other is not spec:
                raise plan.error(
                    f"recipes {other.recipe!r} and {spec.recipe!r} would share the folder {spec.id}; "
                    "keep one of them",
                    arm.locate("recipe"),
                )
    return list(by_id.values())


def _joined(general: Mapping[str, Any], particular: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the particular ones last: they are applied in this order."""
    return {**{key: value for key, value in general.items() if key not in particular}, **particular}
