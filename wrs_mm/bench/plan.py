"""A plan: the YAML file that lists recipes, arms, optimizers and seeds, and the runs it stands for.

Validation is pydantic's; every mistake becomes one line that names the file, what is wrong and what
to write instead.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

import wrs_mm
from wrs_mm import regularizers as arms
from wrs_mm.errors import ConfigError, OptionError, PlanError
from wrs_mm.openmmlab.configs import config_path

CONFIGS = Path(wrs_mm.__file__).resolve().parent.parent / "configs"
"""The recipes of the checkout."""

OPTIMIZERS = ("recipe",)
"""What ``optimizers`` may name: ``recipe`` is the recipe's own optimizer."""

_MAX_ID = 150
"""Length of a run's folder name; file systems allow 255, the rest is for files beside it."""


class Regularizer(BaseModel):
    """A regularizer as a plan lists it: its name and, for each option, the values to try."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    options: dict[str, list[Any]] = {}

    def arms(self) -> list[dict[str, Any]]:
        """Every combination of the listed option values; one empty one without options."""
        names = list(self.options)
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*self.options.values())]


def _regularizer(name: Any, options: Any) -> Regularizer:
    """One entry: a bare name, or a name with ``{option: value or list of values}``."""
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is not the name of a regularizer")
    if options is None:
        options = {}
    if not isinstance(options, Mapping):
        raise ValueError(f"write the options of {name} as {{option: value}}, not {options!r}")
    values = {key: value if isinstance(value, list) else [value] for key, value in options.items()}
    for key, value in values.items():
        if not value:
            raise ValueError(f"{name}.{key} lists no value")
    return Regularizer(name=name, options=values)


class Plan(BaseModel):
    """A benchmark plan.

    Attributes:
        name: What the benchmark is called; a work dir belongs to one name.
        recipes: Names under ``configs/``, paths relative to the plan, ``mmdet::…`` or ``mmseg::…``.
        regularizers: The arms before their options are multiplied out.
        optimizers: ``recipe`` for the recipe's own.
        seeds: One run each.
        baseline: The arm that the others are compared with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    recipes: list[str] = Field(min_length=1)
    regularizers: list[Regularizer] = Field(min_length=1)
    optimizers: list[str] = Field(min_length=1, default=["recipe"])
    seeds: list[int] = Field(min_length=1)
    baseline: Regularizer

    @field_validator("regularizers", mode="before")
    @classmethod
    def _list_of_regularizers(cls, value: Any) -> Any:
        entries = list(value.items()) if isinstance(value, Mapping) else value
        if not isinstance(entries, list):
            raise ValueError("write a list such as [none, wd, wrs]")
        listed = []
        for entry in entries:
            if isinstance(entry, tuple):
                listed.append(_regularizer(*entry))
            elif isinstance(entry, Mapping):
                listed.extend(_regularizer(*item) for item in entry.items())
            else:
                listed.append(_regularizer(entry, None))
        return listed

    @field_validator("baseline", mode="before")
    @classmethod
    def _one_arm(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and len(value) == 1:
            return _regularizer(*next(iter(value.items())))
        return _regularizer(value, None)

    @field_validator("recipes", "optimizers", "seeds")
    @classmethod
    def _no_duplicates(cls, value: list[Hashable]) -> list[Hashable]:
        for entry in value:
            if value.count(entry) > 1:
                raise ValueError(f"{entry} is listed twice")
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds_are_seeds(cls, value: list[int]) -> list[int]:
        for seed in value:
            if not 0 <= seed < 2**32:
                raise ValueError(f"{seed} is not a seed: use 0 to {2**32 - 1}")
        return value


class RunSpec(BaseModel):
    """One training: recipe × arm × optimizer × seed. Its :attr:`id` names its folder.

    Attributes:
        recipe: As the plan names it.
        regularizer: The arm's regularizer.
        options: The arm's options.
        optimizer: ``recipe`` for the recipe's own.
        seed: Seed of the training.
        baseline: Whether the others are compared with this arm.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    regularizer: str
    options: dict[str, Any]
    optimizer: str
    seed: int
    baseline: bool

    @property
    def id(self) -> str:
        """Folder name: readable, safe in any file system, and a function of the run alone."""
        arm = "-".join([self.regularizer, *(f"{k}={v}" for k, v in sorted(self.options.items()))])
        optimizer = [] if self.optimizer == "recipe" else [self.optimizer]
        recipe = self.recipe.removesuffix(".py").replace("::", "-").replace("/", "-")
        readable = "__".join([recipe, arm, *optimizer, f"seed{self.seed}"])
        safe = re.sub(r"[^A-Za-z0-9._=+-]", "-", readable).lstrip(".-")
        if safe == readable and len(safe) <= _MAX_ID:
            return safe
        digest = hashlib.sha256(readable.encode()).hexdigest()[:8]
        return f"{safe[-_MAX_ID:].lstrip('.-')}__{digest}"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with YAML 1.2's floats (``1e-4``) and without repeated keys."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def _mapping_without_repeats(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} is written twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping_without_repeats)


def _read(path: Path) -> Any:
    """Parse the file, or say in one line where it stops being YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise PlanError(f"{path}: cannot be read ({reason}); give the path of a plan") from None
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise PlanError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise PlanError(f"{path}: not valid YAML: {error}") from None


def _first_mistake(error: ValidationError) -> str:
    """Pydantic's first complaint as «key: what is wrong»."""
    mistake = error.errors()[0]
    where = ".".join(str(part) for part in mistake["loc"])
    kind = mistake["type"]
    if kind == "missing":
        return f"{where} is missing; add it"
    if kind == "extra_forbidden":
        known = ", ".join(Plan.model_fields)
        return f"unknown key {where!r}; a plan has {known}"
    if kind == "too_short":
        return f"{where} is empty; list at least one"
    return f"{where}: {mistake['msg'].removeprefix('Value error, ')}"


def load_plan(path: str | Path) -> Plan:
    """Read and check a plan.

    Args:
        path: The YAML file.

    Returns:
        The plan; its recipes exist and its arms, options and optimizers are known.

    Raises:
        PlanError: The plan cannot be used; the message says what to write instead.
    """
    path = Path(path)
    content = _read(path)
    if content is None:
        raise PlanError(f"{path}: the plan is empty; it needs name, recipes, regularizers, seeds")
    if not isinstance(content, dict):
        raise PlanError(f"{path}: a plan is a mapping of keys (name, recipes, …) to values")
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        raise PlanError(f"{path}: {_first_mistake(error)}") from None
    for recipe in plan.recipes:
        try:
            find_recipe(recipe, path.parent)
        except PlanError as error:
            raise PlanError(f"{path}: {error}") from None
    _check_names(plan, path)
    return plan


def _check_names(plan: Plan, path: Path) -> None:
    known = arms.names()
    for regularizer in plan.regularizers:
        if regularizer.name not in known:
            raise PlanError(
                f"{path}: regularizer {regularizer.name!r} is not known; write one of {', '.join(known)}"
            )
        for options in regularizer.arms():
            try:
                arms.check(regularizer.name, **options)
            except OptionError as error:
                raise PlanError(f"{path}: {error}") from None
    for optimizer in plan.optimizers:
        if optimizer not in OPTIMIZERS:
            raise PlanError(
                f"{path}: optimizer {optimizer!r} is not known; write one of {', '.join(OPTIMIZERS)}"
            )
    listed = [(entry.name, options) for entry in plan.regularizers for options in entry.arms()]
    for arm in listed:
        if listed.count(arm) > 1:
            raise PlanError(f"{path}: the arm {arm_label(*arm)} is listed twice; keep one")
    _baseline_arm(plan, listed, path)


def _baseline_arm(
    plan: Plan, listed: list[tuple[str, dict[str, Any]]], path: Path | None = None
) -> tuple[str, dict[str, Any]]:
    """The one listed arm that ``baseline`` names."""
    wanted = plan.baseline.arms()[0]
    candidates = [
        (name, options)
        for name, options in listed
        if name == plan.baseline.name and wanted.items() <= options.items()
    ]
    if len(candidates) == 1:
        return candidates[0]
    where = f"{path}: " if path else ""
    baseline = arm_label(plan.baseline.name, wanted)
    if not candidates:
        choices = ", ".join(arm_label(*arm) for arm in listed)
        raise PlanError(f"{where}baseline {baseline} is not among the arms; write one of {choices}")
    options = json.dumps(candidates[0][1])
    raise PlanError(
        f"{where}baseline {baseline} stands for {len(candidates)} arms; write one of them, "
        f"for example baseline: {{{plan.baseline.name}: {options}}}"
    )


def find_recipe(recipe: str, folder: Path) -> str:
    """Find the config of a recipe.

    Args:
        recipe: A name under ``configs/``, a path relative to ``folder``, ``mmdet::…`` or
            ``mmseg::…``; the ending ``.py`` may be left out.
        folder: Where relative paths start: the plan's folder.

    Returns:
        The config's path.

    Raises:
        PlanError: There is no such config.
    """
    if "::" in recipe:
        try:
            return str(config_path(recipe))
        except ConfigError as error:
            raise PlanError(f"recipe {recipe!r}: {error}") from None
    file = recipe.removesuffix(".py") + ".py"
    for root in (folder, CONFIGS):
        if (root / file).is_file():
            return str(root / file)
    known = [
        config.relative_to(CONFIGS).with_suffix("").as_posix()
        for config in CONFIGS.glob("*/*.py")
        if config.parent.name != "_base_"
    ]
    close = difflib.get_close_matches(recipe.removesuffix(".py"), known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise PlanError(f"recipe {recipe!r} is neither a config under configs/ nor a path beside the plan{hint}")


def arm_label(regularizer: str, options: Mapping[str, Any]) -> str:
    """An arm as people read it: ``wd`` or ``wd (weight_decay=0.0001)``."""
    listed = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
    return f"{regularizer} ({listed})" if listed else regularizer


def expand(plan: Plan) -> list[RunSpec]:
    """The runs of a plan, in the order in which they should start.

    Seeds change slowest: after the first seed every comparison exists once.

    Raises:
        PlanError: Two runs would share a folder, or the baseline is not one of the arms.
    """
    listed = [(entry.name, options) for entry in plan.regularizers for options in entry.arms()]
    baseline = _baseline_arm(plan, listed)
    specs = [
        RunSpec(
            recipe=recipe,
            regularizer=arm[0],
            options=arm[1],
            optimizer=optimizer,
            seed=seed,
            baseline=arm == baseline,
        )
        for seed in plan.seeds
        for recipe in plan.recipes
        for optimizer in plan.optimizers
        for arm in listed
    ]
    by_id: dict[str, RunSpec] = {}
    for spec in specs:
        if spec.id in by_id:
            raise PlanError(
                f"recipes {by_id[spec.id].recipe!r} and {spec.recipe!r} would share the folder "
                f"{spec.id}; keep one of them"
            )
        by_id[spec.id] = spec
    return specs
