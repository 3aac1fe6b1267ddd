"""One plan out of what several packs, or a pack and a work dir, have of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.work_dir import Listed
from wrs_mm.errors import PlanError


def one_plan(places: Sequence[tuple[Path, Listed]]) -> Listed:
    """The plan of which several places have a part: all their runs, each once.

    Args:
        places: Where each stands, and what it has written down.

    Raises:
        PlanError: They are of several plans, or of versions of one that do not go together.
    """
    first, base = places[0]
    runs: dict[str, RunSpec] = {}
    recipes: dict[str, tuple[object, ...]] = {}
    baselines: set[str] = set()
    tuning: Tuning | None = base.tuning
    for where, plan in places:
        if plan.name != base.name:
            raise PlanError(
                f"{where} is of the plan {plan.name!r}, {first} of {base.name!r}; "
                "unpack them into two work dirs"
            )
        other = f"{where} is of another plan of that name than {first}"
        for spec in plan.runs:
            differing = _differing(spec, runs.setdefault(spec.id, spec))
            if differing:
                raise PlanError(f"{other}: {spec.id} differs in {', '.join(differing)}")
            recipe = (spec.config, spec.cfg_options, spec.links, spec.split)
            if recipes.setdefault(spec.recipe, recipe) != recipe:
                raise PlanError(f"{other}: the config, cfg_options, links or split of {spec.recipe} differ")
            if spec.baseline and spec.pretraining is None:
                baselines.add(spec.arm_label)
            if len(baselines) > 1:
                raise PlanError(f"{other}: the baselines are {' and '.join(sorted(baselines))}")
        if not _go_together(tuning, plan.tuning):
            raise PlanError(f"{other}: the tuning differs in more than its trials")
        # A longer search contains the shorter one.
        tuning = max((one for one in (tuning, plan.tuning) if one), key=lambda one: one.trials, default=None)
    most = max(len(plan.runs) + plan.to_come for _, plan in places)
    return Listed(name=base.name, runs=list(runs.values()), tuning=tuning, to_come=max(0, most - len(runs)))


def _differing(one: RunSpec, other: RunSpec) -> list[str]:
    """In what two runs differ, but for how they watched their weights: they trained the same."""
    keys = [key for key in RunSpec.model_fields if key != "dynamics"]
    return [key for key in keys if getattr(one, key) != getattr(other, key)]


def _go_together(one: Tuning | None, other: Tuning | None) -> bool:
    """Whether the same is looked for in the same way."""
    if one is None or other is None:
        return one is other
    return one.model_copy(update={"trials": other.trials}) == other
