"""A plan: the YAML file that lists recipes, arms, optimizers and seeds, and the runs it stands for.

Validation is pydantic's; every mistake becomes one line that names the file, the line in it, what is wrong
and what to write instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from wrs_mm import regularizers as arms
from wrs_mm.bench.plan import optimizers as optimizer_names
from wrs_mm.bench.plan.entries import (
    CfgOptions,
    LearningRates,
    Links,
    Optimizer,
    Recipe,
    Regularizer,
    no_duplicates,
)
from wrs_mm.bench.plan.resolve import CONFIGS, SpecError, find_recipe, resolve
from wrs_mm.bench.plan.spec import RunSpec, arm_label
from wrs_mm.bench.plan.yaml_lines import Location, Mistake, PlanFile
from wrs_mm.errors import OptionError, PlanError

__all__ = ["CONFIGS", "Plan", "RunSpec", "arm_label", "expand", "find_recipe", "load_plan", "resolve_spec"]


class Plan(BaseModel):
    """A benchmark plan.

    Attributes:
        name: What the benchmark is called; a work dir belongs to one name.
        recipes: What is trained: model, dataset and schedule.
        regularizers: The arms before their options are multiplied out.
        optimizers: ``recipe`` for the recipe's own.
        learning_rates: None for the recipe's own; optimizers and recipes may have others.
        seeds: One run each.
        cfg_options: Settings to override in every recipe, by dotted key.
        links: Settings that follow others in every recipe, see :mod:`wrs_mm.bench.plan.links`.
        baseline: The arm that the others are compared with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    recipes: list[Recipe] = Field(min_length=1)
    regularizers: list[Regularizer] = Field(min_length=1)
    optimizers: list[Optimizer] = Field(min_length=1, default=[Optimizer(name=optimizer_names.RECIPE)])
    learning_rates: LearningRates = [None]
    seeds: list[int] = Field(min_length=1)
    cfg_options: CfgOptions = {}
    links: Links = {}
    baseline: Regularizer

    _file: PlanFile | None = PrivateAttr(default=None)

    _no_duplicates = field_validator("seeds")(no_duplicates)

    @field_validator("regularizers", mode="before")
    @classmethod
    def _list_regularizers(cls, value: Any) -> Any:
        return Regularizer.parse_all(value)

    @field_validator("optimizers", mode="before")
    @classmethod
    def _list_optimizers(cls, value: Any) -> Any:
        return Optimizer.parse_all(value)

    @field_validator("baseline", mode="before")
    @classmethod
    def _one_arm(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and len(value) == 1:
            name, options = next(iter(value.items()))
            return Regularizer.parse(name, options, name)
        return Regularizer.parse(value, None)

    @field_validator("seeds")
    @classmethod
    def _seeds_are_seeds(cls, value: list[int]) -> list[int]:
        for index, seed in enumerate(value):
            if not 0 <= seed < 2**32:
                raise Mistake(f"{seed} is not a seed: use 0 to {2**32 - 1}", index)
        return value

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return self._file.path.parent if self._file else Path()

    def error(self, message: str, location: Location = ()) -> PlanError:
        """A mistake in the plan, with file and line where the plan comes from a file."""
        return self._file.error(message, location) if self._file else PlanError(message)

    def listed_arms(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and options of every arm."""
        return [(entry.name, options) for entry in self.regularizers for options in entry.arms()]

    def baseline_arm(self) -> tuple[str, dict[str, Any]]:
        """The one listed arm that ``baseline`` names.

        Raises:
            Mistake: It names none, or several.
        """
        wanted = self.baseline.arms()[0]
        candidates = [
            (name, options)
            for name, options in self.listed_arms()
            if name == self.baseline.name and wanted.items() <= options.items()
        ]
        if len(candidates) == 1:
            return candidates[0]
        baseline = arm_label(self.baseline.name, wanted)
        if not candidates:
            choices = ", ".join(arm_label(*arm) for arm in self.listed_arms())
            raise Mistake(f"baseline {baseline} is not among the arms; write one of {choices}", "baseline")
        options = json.dumps(candidates[0][1])
        raise Mistake(
            f"baseline {baseline} stands for {len(candidates)} arms; write one of them, "
            f"for example baseline: {{{self.baseline.name}: {options}}}",
            "baseline",
        )


def load_plan(path: str | Path) -> Plan:
    """Read and check a plan.

    Args:
        path: The YAML file.

    Returns:
        The plan; its recipes exist and its arms, optimizers and options are known.

    Raises:
        PlanError: The plan cannot be used; the message says what to write instead.
    """
    file = PlanFile(Path(path))
    if file.content is None:
        raise file.error("the plan is empty; it needs name, recipes, regularizers, seeds")
    if not isinstance(file.content, dict):
        raise file.error("a plan is a mapping of keys (name, recipes, …) to values")
    try:
        plan = Plan.model_validate(file.content)
    except ValidationError as error:
        raise file.error(*_first_mistake(error)) from None
    plan._file = file
    try:
        _check(plan)
    except Mistake as mistake:
        raise plan.error(str(mistake), mistake.location) from None
    return plan


def _first_mistake(error: ValidationError) -> tuple[str, Location]:
    """Pydantic's first complaint as «key: what is wrong», and where."""
    mistake = error.errors()[0]
    location: Location = mistake["loc"]
    kind = mistake["type"]
    cause = mistake.get("ctx", {}).get("error")
    if isinstance(cause, Mistake):
        location = (*location, *cause.location)
    where = ".".join(str(part) for part in mistake["loc"])
    if kind == "missing":
        return f"{where} is missing; add it", location[:-1]
    if kind == "extra_forbidden":
        model, what = (Recipe, "a recipe") if location[0] == "recipes" else (Plan, "a plan")
        return f"unknown key {location[-1]!r}; {what} has {', '.join(model.model_fields)}", location
    if kind == "too_short":
        return f"{where} is empty; list at least one", location
    return f"{where}: {mistake['msg'].removeprefix('Value error, ')}", location


def _check(plan: Plan) -> None:
    """Check what the entries name.

    Raises:
        Mistake: Something does not exist, or is listed twice.
    """
    names = [recipe.name for recipe in plan.recipes]
    for index, recipe in enumerate(plan.recipes):
        if recipe.name in names[:index]:
            raise Mistake(
                f"recipes: {recipe.name} is listed twice; give one of them a name", "recipes", index
            )
        try:
            find_recipe(recipe.config, plan.folder)
        except PlanError as error:
            raise Mistake(str(error), "recipes", index) from None
    _check_arms(plan)
    _check_optimizers(plan)
    plan.baseline_arm()


def _check_arms(plan: Plan) -> None:
    listed: list[tuple[str, dict[str, Any]]] = []
    for entry in plan.regularizers:
        where = ("regularizers", *entry.location)
        if entry.name not in arms.names():
            known = ", ".join(arms.names())
            raise Mistake(f"regularizer {entry.name!r} is not known; write one of {known}", *where)
        for options in _in("regularizers", entry.arms):
            try:
                arms.check(entry.name, **options)
            except OptionError as error:
                blamed = [option for option in options if option in str(error)]
                raise Mistake(str(error), *where, *blamed[:1]) from None
            if (entry.name, options) in listed:
                label = arm_label(entry.name, options)
                raise Mistake(f"the arm {label} is listed twice; keep one", *where)
            listed.append((entry.name, options))
    if len(_in("baseline", plan.baseline.arms)) > 1:
        raise Mistake("baseline names one arm, and no list of values", "baseline")


def _check_optimizers(plan: Plan) -> None:
    listed: list[Optimizer] = []
    for entry in plan.optimizers:
        where = ("optimizers", *entry.location)
        try:
            optimizer_names.check(entry.name, entry.options)
        except OptionError as error:
            blamed = [option for option in entry.options if option in str(error)]
            raise Mistake(str(error), *where, *blamed[:1]) from None
        _in("optimizers", entry.own_rates)
        for other in listed:
            if (other.name, other.other_options()) == (entry.name, entry.other_options()):
                raise Mistake(
                    f"the optimizer {arm_label(entry.name, entry.other_options())} is listed twice; "
                    "keep one, with a list of lr where several are meant",
                    *where,
                )
        listed.append(entry)
    if "learning_rates" in plan.model_fields_set and all(entry.own_rates() for entry in plan.optimizers):
        raise Mistake(
            "no optimizer takes the learning_rates, each has its own lr; remove them", "learning_rates"
        )


def _in(field: str, check: Any) -> Any:
    """Call what knows locations within a field only."""
    try:
        return check()
    except Mistake as mistake:
        raise Mistake(str(mistake), field, *mistake.location) from None


def _settings(plan: Plan) -> Iterator[tuple[Recipe, Optimizer, float | None]]:
    for recipe in plan.recipes:
        for optimizer in plan.optimizers:
            # The innermost that speaks of learning rates holds: the optimizer, the recipe, the plan.
            for rate in optimizer.own_rates() or recipe.learning_rates or plan.learning_rates:
                yield recipe, optimizer, rate


def expand(plan: Plan) -> list[RunSpec]:
    """The runs of a plan, in the order in which they should start.

    Seeds change slowest: after the first seed every comparison exists once.

    Raises:
        PlanError: Two runs would share a folder, or the baseline is not one of the arms.
    """
    listed = plan.listed_arms()
    baseline = plan.baseline_arm()
    specs = [
        RunSpec(
            recipe=recipe.name,
            config=None if recipe.config == recipe.name else recipe.config,
            regularizer=arm[0],
            options=arm[1],
            optimizer=optimizer.name,
            optimizer_options=optimizer.other_options(),
            learning_rate=rate,
            cfg_options=_joined(plan.cfg_options, recipe.cfg_options),
            links=_joined(plan.links, recipe.links),
            seed=seed,
            baseline=arm == baseline,
        )
        for seed in plan.seeds
        for recipe, optimizer, rate in _settings(plan)
        for arm in listed
    ]
    by_id: dict[str, RunSpec] = {}
    for spec in specs:
        if spec.id in by_id:
            other = by_id[spec.id].recipe
            raise plan.error(
                f"recipes {other!r} and {spec.recipe!r} would share the folder {spec.id}; keep one of them",
                location_of(plan, spec),
            )
        by_id[spec.id] = spec
    return specs


def _joined(general: Mapping[str, Any], particular: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the particular ones last: settings are applied in this order."""
    return {**{key: value for key, value in general.items() if key not in particular}, **particular}


def resolve_spec(plan: Plan, spec: RunSpec) -> Any:
    """The config that a run of a plan trains, see :func:`wrs_mm.bench.plan.resolve.resolve`.

    Raises:
        PlanError: A part of the plan does not fit the recipe; the message names its line.
    """
    try:
        return resolve(spec, find_recipe(spec.config or spec.recipe, plan.folder))
    except SpecError as error:
        raise plan.error(str(error), location_of(plan, spec, error.part, error.key)) from error


def location_of(plan: Plan, spec: RunSpec, part: str = "recipe", key: str | None = None) -> Location:
    """Where a plan says a part of a spec.

    Args:
        plan: The plan.
        spec: One of its runs.
        part: A field of the spec.
        key: In ``cfg_options`` and ``links``, the setting.
    """
    index, recipe = next((i, r) for i, r in enumerate(plan.recipes) if r.name == spec.recipe)
    if part in ("cfg_options", "links"):
        return ("recipes", index, part, key) if key in getattr(recipe, part) else (part, key)
    if part == "regularizer":
        for entry in plan.regularizers:
            if entry.name == spec.regularizer and spec.options in entry.arms():
                return "regularizers", *entry.location
    if part == "optimizer":
        for optimizer in plan.optimizers:
            if (optimizer.name, optimizer.other_options()) == (spec.optimizer, spec.optimizer_options):
                return "optimizers", *optimizer.location
    return "recipes", index
