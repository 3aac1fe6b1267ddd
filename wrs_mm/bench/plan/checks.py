"""Is a plan the comparison that it says it is? The resolved configs know.

Nothing here is an error: what cannot train at all, :func:`wrs_mm.bench.plan.plan.resolve_spec` has refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wrs_mm.bench.plan.comparison import Cell, _by_setting
from wrs_mm.bench.plan.differences import differing, settings, undeclared
from wrs_mm.bench.plan.links import LR
from wrs_mm.bench.plan.optimizers import KEPT, RECIPE
from wrs_mm.bench.plan.plan import Plan, find_recipe
from wrs_mm.bench.plan.resolve import base_config, require_data
from wrs_mm.errors import DatasetError

_TYPE = "optim_wrapper.optimizer.type"

_LEARNING_RATES = frozenset(
    "lr eta_min eta_max min_value min_lr max_lr base_lr start_lr end_lr init_lr final_lr warmup_lr".split()
)
"""Names of settings that are learning rates themselves, not factors on one."""

_FACTORS = ("factor", "ratio", "mult", "gamma", "power", "decay", "momentum")
"""Endings of settings that may equal the learning rate by chance."""


def warnings(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    """What a reader of the results would have to know, one line each.

    Args:
        plan: The plan.
        cells: From :func:`resolve_cells`.
    """
    recipes: dict[str, list[str]] = {}
    for recipe in plan.recipes:
        own = [cell for cell in cells if cell.spec.recipe == recipe.name]
        config = base_config(own[0].spec, find_recipe(recipe.config, plan.folder))
        base = settings(config.to_dict())
        said: list[str] = []
        said += _undeclared(own)
        said += _same(own)
        said += _left_behind(base, own)
        said += _optimizers(base, own)
        said += _frozen_bn(base, own)
        try:
            require_data(config)
        except DatasetError as error:
            said.append(f"{error} (to run it; to read the plan it is not needed)")
        for text in dict.fromkeys(said):
            recipes.setdefault(text, []).append(recipe.name)
    everywhere = len(plan.recipes) if len(plan.recipes) > 1 else 0
    return [
        f"{'all recipes' if len(names) == everywhere else ', '.join(names)}: {text}"
        for text, names in recipes.items()
    ]


def _undeclared(cells: Sequence[Cell]) -> Iterator[str]:
    """Arms against the baseline, and other optimizers and learning rates against the first."""
    first = _by_setting(cells)[cells[0].setting]
    for arms in _by_setting(cells).values():
        baseline = next(cell for cell in arms if cell.spec.baseline)
        for cell in arms:
            keys = undeclared(cell.settings, baseline.settings, ["regularizer"])
            if keys:
                rows = differing([cell.settings, baseline.settings])
                yield _says(cell.spec.arm_label, baseline.spec.arm_label, {key: rows[key] for key in keys})
        reference = next(cell for cell in first if cell.spec.baseline)
        keys = undeclared(baseline.settings, reference.settings, ["optimizer", "learning_rate"])
        rows = differing([baseline.settings, reference.settings])
        others = {key: rows[key] for key in keys if key not in baseline.spec.links}
        if others:
            yield _says(baseline.label, reference.label, others)


def _says(one: str, other: str, rows: Mapping[str, Sequence[Any]]) -> str:
    listed = ", ".join(f"{key} ({values[0]} against {values[1]})" for key, values in list(rows.items())[:4])
    more = f" and {len(rows) - 4} more" if len(rows) > 4 else ""
    return f"{one} differs from {other} in more than it declares: {listed}{more}"


def _same(cells: Sequence[Cell]) -> Iterator[str]:
    """Arms of one setting that do not differ; of settings that do not, the baseline says it for all."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        other = seen.setdefault(repr(sorted(cell.settings.items())), cell)
        if other is not cell and (cell.spec.baseline or other.setting == cell.setting):
            yield f"«{other.label}» and «{cell.label}» train the same config; remove one"


def _left_behind(base: Mapping[str, Any], cells: Sequence[Cell]) -> Iterator[str]:
    """Learning rates elsewhere in the config that stayed where they were when the learning rate moved."""
    before = base.get(LR)
    if not isinstance(before, (int, float)):
        return
    for cell in cells:
        if cell.spec.learning_rate is None or cell.settings.get(LR) == before:
            continue
        for key, value in base.items():
            if cell.settings.get(key) != value or key in cell.spec.links or key in cell.spec.cfg_options:
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
    if not _number(value) or value == 0 or key == LR:
        return False
    if section == "param_scheduler":
        scheduler, name = str(base.get(f"{above}.type", "")), base.get(f"{above}.param_name", "lr")
        if scheduler.endswith("Momentum") or name != "lr":
            return False
        return last in _LEARNING_RATES or (value == lr and not last.endswith(_FACTORS))
    if section == "custom_hooks":
        return last in _LEARNING_RATES or (value == lr and not last.endswith(_FACTORS))
    return section == "optim_wrapper" and last in _LEARNING_RATES


def _optimizers(base: Mapping[str, Any], cells: Sequence[Cell]) -> Iterator[str]:
    own = str(base[_TYPE]).rpartition(".")[2]
    for cell in cells:
        name = cell.spec.optimizer
        if name == RECIPE:
            continue
        said = [*cell.spec.optimizer_options, *(["lr"] if cell.spec.learning_rate is not None else [])]
        places = {key: f"optim_wrapper.optimizer.{key}" for key in KEPT}
        for key, place in places.items():
            if name.rpartition(".")[2] != own and key not in said and place in base:
                kept = f"{key}={base[place]}, chosen for {own}"
                yield f"{name} keeps {kept}; say another if it does not suit {name}"
        if name.rpartition(".")[2] == own:
            prefix = "optim_wrapper.optimizer."
            dropped = [
                f"{key.removeprefix(prefix)}={value}"
                for key, value in base.items()
                if key.startswith(prefix) and key not in cell.settings
            ]
            if dropped:
                yield (
                    f"{name} by its name leaves out the recipe's {', '.join(dropped)}; write "
                    f"{RECIPE}: {{…}} to change single options"
                )


def _frozen_bn(base: Mapping[str, Any], cells: Sequence[Cell]) -> Iterator[str]:
    """Weights before a BN that is frozen count as scale-invariant for all arms or for none."""
    frozen = [key for key, value in base.items() if key.endswith(".norm_eval") and value is True]
    if not frozen:
        return
    ours = [cell for cell in cells if _part(cell)]
    fold = [cell.spec.arm_label for cell in ours if _frozen_bn_of(cell) == "fold"]
    skip = [cell.spec.arm_label for cell in ours if _frozen_bn_of(cell) == "skip"]
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


def _part(cell: Cell) -> str:
    """Where one of our optimizer wrappers has its ``frozen_bn``; empty for mmengine's own."""
    kind = str(cell.settings.get("optim_wrapper.type", "")).rpartition(".")[2].removeprefix("Amp")
    return {"WRSOptimWrapper": "wrs", "ScaleInvariantOptimWrapper": "scale_invariance"}.get(kind, "")


def _frozen_bn_of(cell: Cell) -> str:
    return str(cell.settings.get(f"optim_wrapper.{_part(cell)}.frozen_bn", "skip"))


def _list(labels: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(labels))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
