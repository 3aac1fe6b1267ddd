"""What a plan compares: the arms of each recipe, with their resolved configs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from wrs_mm.bench.plan.differences import differing, settings
from wrs_mm.bench.plan.optimizers import RECIPE
from wrs_mm.bench.plan.plan import Plan, expand, resolve_spec
from wrs_mm.bench.plan.spec import RunSpec

Setting: TypeAlias = tuple[str, str, float | None]
"""Recipe, optimizer and learning rate: within one of these, arms are compared."""


@dataclass(frozen=True)
class Cell:
    """Runs that differ in nothing but their seed.

    Attributes:
        spec: The first of them.
        settings: Its resolved config, from :func:`wrs_mm.bench.plan.differences.settings`.
    """

    spec: RunSpec
    settings: Mapping[str, Any]

    @property
    def setting(self) -> Setting:
        """Within which it is compared with other arms."""
        return self.spec.recipe, self.spec.optimizer_label, self.spec.learning_rate

    @property
    def label(self) -> str:
        """What tells it from the other cells of its recipe."""
        rate = "" if self.spec.learning_rate is None else f", lr={self.spec.learning_rate:g}"
        optimizer = "" if self.spec.optimizer == RECIPE else f", {self.spec.optimizer_label}"
        return f"{self.spec.arm_label}{optimizer}{rate}"


@dataclass(frozen=True)
class Comparison:
    """What differs between the arms of one setting, or of several that have the same answer.

    Attributes:
        where: The settings: recipe, optimizer, learning rate.
        arms: The arms' labels; the baseline's says so.
        rows: For each key that differs its value in every arm.
    """

    where: list[Setting]
    arms: list[str]
    rows: Mapping[str, list[Any]]


def resolve_cells(plan: Plan) -> list[Cell]:
    """Resolve what a plan trains, with its first seed.

    Raises:
        PlanError: A part of the plan does not fit a recipe.
    """
    first = [spec for spec in expand(plan) if spec.seed == plan.seeds[0]]
    return [Cell(spec, settings(resolve_spec(plan, spec).to_dict())) for spec in first]


def comparisons(cells: Sequence[Cell]) -> list[Comparison]:
    """What differs between the arms of every setting; settings with the same answer come as one."""
    found: list[Comparison] = []
    for setting, arms in _by_setting(cells).items():
        labels = [cell.spec.arm_label + (" (baseline)" if cell.spec.baseline else "") for cell in arms]
        rows = differing([cell.settings for cell in arms])
        for other in found:
            if (other.arms, other.rows) == (labels, rows):
                other.where.append(setting)
                break
        else:
            found.append(Comparison([setting], labels, rows))
    return found


def _by_setting(cells: Iterable[Cell]) -> dict[Setting, list[Cell]]:
    grouped: dict[Setting, list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(cell.setting, []).append(cell)
    return grouped
