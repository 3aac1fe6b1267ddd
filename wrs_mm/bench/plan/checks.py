"""Is a plan the comparison that it says it is? The resolved configs know.

Nothing here is an error: what cannot train at all,
:func:`wrs_mm.bench.plan.comparison.resolve_arms` has refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wrs_mm.bench.plan.comparison import ResolvedArm, by_scenario
from wrs_mm.bench.plan.differences import config_values, differing, undeclared
from wrs_mm.bench.plan.links import LR
from wrs_mm.bench.plan.optimizers import KEPT, RECIPE, class_name
from wrs_mm.bench.plan.resolve import declared_lr, require_data
from wrs_mm.errors import DatasetError
from wrs_mm.values import is_number, type_name

_TYPE = "optim_wrapper.optimizer.type"

_LEARNING_RATES = frozenset(
    "lr eta_min eta_max min_value min_lr max_lr base_lr start_lr end_lr init_lr final_lr warmup_lr".split()
)
"""Last parts of config keys whose values are learning rates themselves, not factors on one."""

_FACTORS = ("factor", "ratio", "mult", "gamma", "power", "decay", "momentum")
"""Endings of config keys whose values may equal the learning rate by chance."""


def comparison_warnings(arms: Sequence[ResolvedArm]) -> list[str]:
    """What a reader of the results would have to know, one line each.

    Args:
        arms: Those of a plan, from :func:`wrs_mm.bench.plan.comparison.resolve_arms`.
    """
    by_recipe: dict[str, list[ResolvedArm]] = {}
    for arm in arms:
        by_recipe.setdefault(arm.spec.recipe, []).append(arm)
    recipes: dict[str, list[str]] = {}
    for recipe, own in by_recipe.items():
        for text in dict.fromkeys(_warnings_of_recipe(own)):
            recipes.setdefault(text, []).append(recipe)
    everywhere = len(by_recipe) if len(by_recipe) > 1 else 0
    return [
        f"{'all recipes' if len(names) == everywhere else ', '.join(names)}: {text}"
        for text, names in recipes.items()
    ]


def _warnings_of_recipe(arms: Sequence[ResolvedArm]) -> Iterator[str]:
    base = config_values(arms[0].base.to_dict())
    yield from _undeclared(arms)
    yield from _same(arms)
    yield from _left_behind(base, arms)
    yield from _optimizers(base, arms)
    yield from _frozen_bn(base, arms)
    try:
        require_data(arms[0].base, arms[0].spec.split)
    except DatasetError as error:
        yield f"{error} (to run it; to read the plan it is not needed)"


def _undeclared(arms: Sequence[ResolvedArm]) -> Iterator[str]:
    """Arms against the baseline, and other optimizers and learning rates against the first."""
    scenarios = by_scenario(arms)
    first = _baseline(scenarios[arms[0].spec.scenario])
    for compared in scenarios.values():
        baseline = _baseline(compared)
        for arm in compared:
            # An arm with an lr of its own declares it, and what is linked to it.
            moved = _declared_lr(arm) != _declared_lr(baseline)
            parts = ["regularizer", *(["learning_rate"] if moved else [])]
            linked = arm.spec.links if moved else {}
            keys = [key for key in undeclared(arm.values, baseline.values, parts) if key not in linked]
            if keys:
                rows = differing([arm.values, baseline.values])
                yield _says(arm.spec.arm_label, baseline.spec.arm_label, {key: rows[key] for key in keys})
        parts = ["optimizer", "learning_rate"]
        # With an optimizer that is tuned elsewhere, a trial has other options of its regularizer.
        parts += ["regularizer"] if _own_settings(baseline) != _own_settings(first) else []
        keys = undeclared(baseline.values, first.values, parts)
        rows = differing([baseline.values, first.values])
        others = {key: rows[key] for key in keys if key not in baseline.spec.links}
        if others:
            yield _says(baseline.label, first.label, others)


def _own_settings(arm: ResolvedArm) -> dict[str, Any]:
    """The settings of an arm that are its regularizer's options."""
    return {name: value for name, value in arm.spec.settings.items() if name != "lr"}


def _declared_lr(arm: ResolvedArm) -> float | None:
    return declared_lr(arm.spec, arm.base)


def _baseline(arms: Sequence[ResolvedArm]) -> ResolvedArm:
    return next(arm for arm in arms if arm.spec.baseline)


def _says(one: str, other: str, rows: Mapping[str, Sequence[Any]]) -> str:
    listed = ", ".join(f"{key} ({values[0]} against {values[1]})" for key, values in list(rows.items())[:4])
    more = f" and {len(rows) - 4} more" if len(rows) > 4 else ""
    return f"{one} differs from {other} in more than it declares: {listed}{more}"


def _same(arms: Sequence[ResolvedArm]) -> Iterator[str]:
    """Arms of one scenario that do not differ; of scenarios that do not, the baseline says it for all."""
    seen: dict[str, ResolvedArm] = {}
    for arm in arms:
        other = seen.setdefault(repr(sorted(arm.values.items())), arm)
        if other is not arm and (arm.spec.baseline or other.spec.scenario == arm.spec.scenario):
            yield f"«{other.label}» and «{arm.label}» train the same config; remove one"


def _left_behind(base: Mapping[str, Any], arms: Sequence[ResolvedArm]) -> Iterator[str]:
    """Learning rates elsewhere in the config that stayed where they were when the learning rate moved."""
    before = base.get(LR)
    if not is_number(before):
        return
    for arm in arms:
        if _declared_lr(arm) is None or arm.values.get(LR) == before:
            continue
        for key, value in base.items():
            if arm.values.get(key) != value or key in arm.spec.links or key in arm.spec.cfg_options:
                continue
            if _is_learning_rate(base, key, value, before):
                yield (
                    f"{key} stays {value:g}, {value / before:.6g} of the recipe's lr {before:g}, at other "
                    f"learning rates too; to take it along write links: {{{key}: recipe * lr}}, to keep it "
                    f"cfg_options: {{{key}: {value:g}}}"
                )


def _is_learning_rate(base: Mapping[str, Any], key: str, value: Any, lr: float) -> bool:
    section, _, _ = key.partition(".")
    above, _, last = key.rpartition(".")
    if not is_number(value) or value == 0 or key == LR:
        return False
    if section == "param_scheduler":
        scheduler, name = str(base.get(f"{above}.type", "")), base.get(f"{above}.param_name", "lr")
        if scheduler.endswith("Momentum") or name != "lr":
            return False
        return last in _LEARNING_RATES or (value == lr and not last.endswith(_FACTORS))
    if section == "custom_hooks":
        return last in _LEARNING_RATES or (value == lr and not last.endswith(_FACTORS))
    return section == "optim_wrapper" and last in _LEARNING_RATES


def _optimizers(base: Mapping[str, Any], arms: Sequence[ResolvedArm]) -> Iterator[str]:
    own = type_name(base[_TYPE])
    for arm in arms:
        name = arm.spec.optimizer
        if name == RECIPE:
            continue
        kind = type_name(class_name(name))
        said = [*arm.spec.optimizer_options, *(["lr"] if arm.spec.lr is not None else [])]
        places = {key: f"optim_wrapper.optimizer.{key}" for key in KEPT}
        for key, place in places.items():
            if kind != own and key not in said and place in base:
                kept = f"{key}={base[place]}, chosen for {own}"
                yield f"{name} keeps {kept}; say another if it does not suit {name}"
        if kind == own:
            prefix = "optim_wrapper.optimizer."
            dropped = [
                f"{key.removeprefix(prefix)}={value}"
                for key, value in base.items()
                if key.startswith(prefix) and key not in arm.values
            ]
            if dropped:
                yield (
                    f"{name} by its name leaves out the recipe's {', '.join(dropped)}; write "
                    f"{RECIPE}: {{…}} to change single options"
                )


def _frozen_bn(base: Mapping[str, Any], arms: Sequence[ResolvedArm]) -> Iterator[str]:
    """Weights before a BN that is frozen count as scale-invariant for all arms or for none."""
    frozen = [key for key, value in base.items() if key.endswith(".norm_eval") and value is True]
    if not frozen:
        return
    ours = [arm for arm in arms if _part(arm)]
    fold = [arm.spec.arm_label for arm in ours if _frozen_bn_of(arm) == "fold"]
    skip = [arm.spec.arm_label for arm in ours if _frozen_bn_of(arm) == "skip"]
    if fold and skip:
        yield (
            f"BN is frozen ({frozen[0]}), and {_list(fold)} means the weights before it, {_list(skip)} "
            "does not; give them the same frozen_bn"
        )
    elif skip:
        yield (
            f"BN is frozen ({frozen[0]}), and no arm means the weights before it; to include them write "
            "none: {frozen_bn: fold} and wrs: {frozen_bn: fold, target: init}"
        )
    watched = arms[0].spec.dynamics
    if fold and len(ours) < len(arms) and watched is not None and watched.frozen_bn == "skip":
        yield (
            f"BN is frozen ({frozen[0]}), and {_list(fold)} means the weights before it, dynamics does not; "
            "write dynamics: {frozen_bn: fold}"
        )


def _part(arm: ResolvedArm) -> str:
    """Where one of our optimizer wrappers has its ``frozen_bn``; empty for mmengine's own."""
    kind = type_name(arm.values.get("optim_wrapper.type", "")).removeprefix("Amp")
    parts = {"WRSOptimWrapper": "wrs", "PBWNOptimWrapper": "pbwn"}
    parts |= dict.fromkeys(("ScaleInvariantOptimWrapper", "StepRuleOptimWrapper"), "scale_invariance")
    return parts.get(kind, "")


def _frozen_bn_of(arm: ResolvedArm) -> str:
    return str(arm.values.get(f"optim_wrapper.{_part(arm)}.frozen_bn", "skip"))


def _list(labels: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(labels))
