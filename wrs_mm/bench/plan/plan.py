"""A plan: the YAML file that lists recipes, arms, optimizers and seeds.

Validation is pydantic's; every mistake becomes one line that names the file, the line in it, what is wrong
and what to write instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from wrs_mm.bench.plan.dynamics import DynamicsOptions
from wrs_mm.bench.plan.entries import Entry, Optimizer, Optimizers, Recipe, Regularizer, Regularizers
from wrs_mm.bench.plan.fields import CfgOptions, LearningRates, Links, Seeds
from wrs_mm.bench.plan.halving import Halving
from wrs_mm.bench.plan.mistakes import Location, Mistake
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.bench.plan.pretraining import Origin, Pretraining, origins
from wrs_mm.bench.plan.recipes import find_plan
from wrs_mm.bench.plan.search import LR
from wrs_mm.bench.plan.spec import Split, arm_label, short_name
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.plan.yaml_lines import PlanFile
from wrs_mm.errors import PlanError
from wrs_mm.values import did_you_mean


class Plan(BaseModel):
    """A benchmark plan.

    Attributes:
        name: What the benchmark is called; a work dir belongs to one name.
        recipes: What is trained: model, dataset and schedule.
        regularizers: The arms before their options are multiplied out.
        optimizers: ``recipe`` for the recipe's own.
        learning_rates: None for the recipe's own; optimizers and recipes may have others.
        seeds: One run each.
        cfg_options: Values to override in every recipe, by config key.
        links: Config keys that follow others in every recipe, see :mod:`wrs_mm.bench.plan.links`.
        split: Which split tables report, see :class:`wrs_mm.bench.plan.spec.RunSpec`; with tuning ``test``,
            unless said otherwise.
        baseline: The arm that the others are compared with.
        tuning: How the arms are tuned before they are compared; None for arms that are compared as they are.
        dynamics: How runs whose numbers are reported watch their weights; None where they do not.
        pretraining: Where the backbones of all recipes come from, one after the other; empty where each
            recipe says it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    recipes: list[Recipe] = Field(min_length=1)
    regularizers: Regularizers = Field(min_length=1)
    optimizers: Optimizers = Field(min_length=1, default=[Optimizer(name=RECIPE)])
    learning_rates: LearningRates = [None]
    seeds: Seeds
    cfg_options: CfgOptions = {}
    links: Links = {}
    split: Split = "tune"
    baseline: Regularizer
    tuning: Tuning | None = None
    dynamics: DynamicsOptions | None = None
    pretraining: list[Pretraining] = []

    _file: PlanFile | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _report_what_nobody_tuned_on(cls, value: Any) -> Any:
        return {"split": "test", **value} if isinstance(value, dict) and value.get("tuning") else value

    @field_validator("baseline", mode="before")
    @classmethod
    def _one_arm(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and len(value) == 1:
            name, options = next(iter(value.items()))
            return Regularizer.parse(name, options, name)
        return Regularizer.parse(value, None)

    @field_validator("recipes", "pretraining")
    @classmethod
    def _number(cls, value: list[Any]) -> list[Any]:
        return [entry.at(index) for index, entry in enumerate(value)]

    @field_validator("recipes", "regularizers", "optimizers", "baseline", "pretraining")
    @classmethod
    def _locate(cls, value: Any, info: ValidationInfo) -> Any:
        for entry in value if isinstance(value, list) else [value]:
            entry.at(info.field_name, *entry.location)
        return value

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return self._file.path.parent if self._file else Path()

    @property
    def entries(self) -> list[Entry]:
        """Everything that it lists, in the order in which it is checked."""
        return [*self.recipes, *self.regularizers, *self.optimizers, *self.pretraining]

    @property
    def origins(self) -> list[Origin | None]:
        """Where the backbone of each recipe comes from, in turn; one None where the recipes say it."""
        return [*origins(self.pretraining)] or [None]

    def error(self, message: str, location: Location = ()) -> PlanError:
        """A mistake in the plan, with file and line where the plan comes from a file."""
        return self._file.error(message, location) if self._file else PlanError(message)

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Say of a mistake that is found within where the plan has it.

        Raises:
            PlanError: There was one.
        """
        try:
            yield
        except Mistake as mistake:
            raise self.error(str(mistake), mistake.location) from mistake

    def listed_arms(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and options of every arm."""
        return [(entry.name, options) for entry in self.regularizers for options in entry.arms()]

    def baseline_arm(self) -> tuple[str, dict[str, Any]]:
        """The one listed arm that ``baseline`` names.

        Raises:
            Mistake: It names none, or several.
        """
        wanted = self.baseline.arms()[0]
        if (self.baseline.name, wanted) in self.listed_arms():
            return self.baseline.name, wanted
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
        path: The YAML file, or the name of a plan that the package carries.

    Returns:
        The plan; its recipes exist and its arms, optimizers and options are known.

    Raises:
        PlanError: The plan cannot be used; the message says what to write instead.
    """
    file = PlanFile(find_plan(path))
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
    mistakes = error.errors()
    # A key that is unknown is often the one that is missing, misspelt.
    mistake = next((one for one in mistakes if one["type"] == "extra_forbidden"), mistakes[0])
    location: Location = mistake["loc"]
    kind = mistake["type"]
    cause = mistake.get("ctx", {}).get("error")
    if isinstance(cause, Mistake):
        location = (*location, *cause.location)
    where = ".".join(str(part) for part in mistake["loc"])
    if kind == "missing":
        return f"{where} is missing; add it", location[:-1]
    if kind == "extra_forbidden":
        model, what = _model_at(location[:-1])
        hint = did_you_mean(str(location[-1]), model.model_fields)
        hint = hint or f"; {what} has {', '.join(model.model_fields)}"
        return f"unknown key {location[-1]!r}{hint}", location
    if kind == "too_short":
        return f"{where} is empty; list at least one", location
    if kind == "list_type":
        given = mistake["input"]
        shown = f", [{given}]" if isinstance(given, (str, int, float)) else ""
        return f"{where}: write a list{shown}", location
    return f"{where}: {mistake['msg'].removeprefix('Value error, ')}", location


def _model_at(location: Location) -> tuple[type[BaseModel], str]:
    """What a place of the plan is read as."""
    if "halving" in location:
        return Halving, "halving"
    models: dict[Any, tuple[type[BaseModel], str]] = {
        "recipes": (Recipe, "a recipe"),
        "tuning": (Tuning, "tuning"),
        "dynamics": (DynamicsOptions, "dynamics"),
        "pretraining": (Pretraining, "pretraining"),
    }
    return models.get(location[0] if location else None, (Plan, "a plan"))


def _check(plan: Plan) -> None:
    """Check every entry, then what must hold between them.

    Raises:
        Mistake: Something does not exist, or is listed twice.
    """
    for entry in plan.entries:
        entry.check(plan.folder)
    _check_distinct(
        [(entry, entry.name) for entry in plan.recipes],
        lambda name: f"recipes: {name} is listed twice; give one of them a name",
    )
    _check_distinct(
        [(entry, (entry.name, options)) for entry in plan.regularizers for options in entry.arms()],
        lambda arm: f"the arm {arm_label(*arm)} is listed twice; keep one",
    )
    _check_distinct(
        [(entry, short_name(entry.name)) for entry in _first_of_each_name(plan.regularizers)],
        lambda name: f"two regularizers would be called {name} in tables; rename one's function",
    )
    _check_distinct(
        [(entry, (entry.name, entry.other_options())) for entry in plan.optimizers],
        lambda optimizer: (
            f"the optimizer {arm_label(*optimizer)} is listed twice; "
            "keep one, with a list of lr where several are meant"
        ),
    )
    if "learning_rates" in plan.model_fields_set and all(entry.own_rates() for entry in plan.optimizers):
        raise Mistake(
            "no optimizer takes the learning_rates, each has its own lr; remove them", "learning_rates"
        )
    _check_own_rates(plan)
    _ = plan.origins  # two of them may not be called the same
    if len(plan.baseline.arms()) > 1:
        raise Mistake("baseline names one arm, and no list of values", "baseline")
    plan.baseline_arm()
    if plan.tuning is not None:
        plan.tuning.check(plan.regularizers, plan.seeds, [entry.name for entry in plan.optimizers])
        _check_learning_rates(plan, plan.tuning)


def _check_learning_rates(plan: Plan, tuning: Tuning) -> None:
    """Check that where tuning looks for the learning rate, nothing else says it."""
    if not any(
        LR in tuning.space(entry.name, entry.settings(), optimizer.name)
        for entry in plan.regularizers
        for optimizer in plan.optimizers
    ):
        return
    said: list[Location] = [("learning_rates",)] if plan.learning_rates != [None] else []
    said += [(*recipe.location, "learning_rates") for recipe in plan.recipes if recipe.learning_rates]
    said += [(*entry.location, LR) for entry in plan.optimizers if entry.own_rates()]
    if said:
        raise Mistake("tuning looks for lr, so nothing else may say it; remove one of both", *said[0])


def _check_own_rates(plan: Plan) -> None:
    """Check that no arm has a learning rate of its own where the others are trained at several.

    Raises:
        Mistake: One has: it would be trained with that one several times.
    """
    rates = [plan.learning_rates, *(recipe.learning_rates for recipe in plan.recipes)]
    rates += [entry.own_rates() or [] for entry in plan.optimizers]
    for entry in plan.regularizers:
        if entry.settings() and any(len(listed) > 1 for listed in rates):
            raise Mistake(
                f"{entry.name} has an lr of its own, and the plan tries several learning rates; remove the "
                "one or the others",
                *entry.location,
                "lr",
            )
    own = plan.baseline.settings()
    if own and all(
        own != entry.settings() for entry in plan.regularizers if entry.name == plan.baseline.name
    ):
        raise Mistake(
            f"no arm {plan.baseline.name} has lr={own['lr']:g}; leave lr out of baseline", "baseline"
        )


def _first_of_each_name(entries: Sequence[Regularizer]) -> list[Regularizer]:
    """A regularizer may be listed several times, with other options."""
    return list({entry.name: entry for entry in reversed(entries)}.values())[::-1]


def _check_distinct(listed: Sequence[tuple[Entry, Any]], message: Callable[[Any], str]) -> None:
    """Check that no two entries stand for the same; the second of them is the mistake."""
    for index, (entry, meant) in enumerate(listed):
        if any(meant == other for _, other in listed[:index]):
            raise Mistake(message(meant), *entry.location)
