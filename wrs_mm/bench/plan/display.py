"""``wrs-mm bench plan``: the runs of a plan, their count, how arms are tuned, what differs, and warnings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.text import Text

from wrs_mm.bench.plan.backbones import STORE
from wrs_mm.bench.plan.budget import Budget, budgets, equal_between_arms, pretraining_budgets
from wrs_mm.bench.plan.checks import comparison_warnings
from wrs_mm.bench.plan.comparison import (
    Comparison,
    Resolver,
    arm_differences,
    resolve_arms,
    resolve_pretrainings,
)
from wrs_mm.bench.plan.expansion import expand, planned_arms
from wrs_mm.bench.plan.plan import Plan, load_plan
from wrs_mm.bench.plan.search import LR, setting_label
from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.terminal import Column, Section, fits, print_lines, table_lines
from wrs_mm.values import one_line, several

Foresee: TypeAlias = Callable[[Plan, Sequence[Budget]], Sequence[str]]
"""Says what is known of a plan beforehand, from what each of its arms gets, pretrainings first."""

_LONGEST = 60
"""Longest value of a config that is shown whole."""


def show_plan(path: Path, foresee: Foresee | None = None) -> int:
    """Show what ``bench run`` would train; nothing is written and nothing trains.

    Tables on a terminal, tab-separated lines elsewhere; warnings go to stderr.

    Args:
        path: The plan.
        foresee: Says what is known beforehand, one line each.

    Returns:
        0, warnings or not.

    Raises:
        PlanError: The plan cannot be used.
    """
    plan = load_plan(path)
    resolver = Resolver(plan)
    arms = resolve_arms(plan, resolver)
    pretrainings = [run.spec for run in resolve_pretrainings(plan, resolver)]
    before = pretraining_budgets(plan, resolver)
    planned = expand(plan)
    specs = [*pretrainings, *planned]
    console = Console()
    head, rows = ["run", "recipe", "arm", "optimizer", "lr", "seed"], [_row(spec) for spec in specs]
    if plan.tuning is not None:
        # Beside lr, a trial has settings of its own, and its number.
        head[-1:] = ["settings", "trial", "seed"]
        rows = [[*row[:-1], *_trial_cells(spec), row[-1]] for spec, row in zip(specs, rows, strict=True)]
    if console.is_terminal:
        # A run's name says again what the other columns say; a recipe's would break them into pieces.
        sections = [
            Section(recipe, [[Text(cell) for cell in row[2:]] for row in rows if row[1] == recipe])
            for recipe in dict.fromkeys(spec.recipe for spec in specs)
        ]
        print_lines(console, table_lines([Column(name) for name in head[2:]], sections, console.width))
    else:
        _show(console, "", head, rows)
    print()
    if pretrainings:
        print(_pretrainings_line(len(pretrainings), before))
    print(_count(plan, planned))
    given = budgets(plan, arms)
    for line in foresee(plan, [*before, *given]) if foresee else []:
        print(line)
    if plan.tuning is not None:
        print()
        _show_tuning(console, plan, given)
    scenarios = list(dict.fromkeys(arm.spec.scenario for arm in arms))
    for comparison in arm_differences(arms):
        print()
        first = " at their first trials" if plan.tuning else ""
        title = f"What differs between the arms{first}, {_where(comparison.where, scenarios)}"
        if not comparison.rows:
            print(f"{title}: nothing")
            continue
        _show(console, title, ["config key", *comparison.arms], _difference_rows(comparison))
    sys.stdout.flush()
    for text in comparison_warnings([*(budget.arm for budget in before), *arms]):
        print(f"warning: {text}", file=sys.stderr)
    return 0


def _pretrainings_line(count: int, given: Sequence[Budget]) -> str:
    """How many pretrainings a plan has, how many of them are to be trained, and for how long."""
    left = [budget for budget in given if budget.finals]
    to_train = sum(budget.finals for budget in left)
    lengths = " or ".join(dict.fromkeys(str(budget.each) for budget in left if budget.each))
    each = f" for {lengths} each" if lengths else ""
    still = f"{to_train} still to train{each}" if to_train else "all of them trained"
    return f"{several(count, 'pretraining')}, {still}, in {STORE} for this plan and others; then"


def _count(plan: Plan, specs: Sequence[RunSpec]) -> str:
    """How many runs a plan has, and how that comes about."""
    trials = [spec for spec in specs if spec.trial is not None]
    if plan.tuning is None:
        return f"{several(len(specs), 'run')}: {_product(plan, len(specs), plan.seeds)}"
    # Arms with nothing to tune have final runs only.
    finals = len(planned_arms(plan)) * len(plan.seeds)
    runs = plan.tuning.trials * len(plan.tuning.seeds)
    each = f"{several(len(trials) // runs, 'tuned arm')} × {several(plan.tuning.trials, 'trial')}"
    return (
        f"{several(len(trials) + finals, 'run')}: first {several(len(trials), 'run')} that look for settings "
        f"({each} × {several(len(plan.tuning.seeds), 'seed')}), then, at each arm's best ones, "
        f"{several(finals, 'final run')} ({_product(plan, finals, plan.seeds)})"
    )


def _product(plan: Plan, count: int, seeds: Sequence[int]) -> str:
    """How a number of runs comes about."""
    arms, starts = len(plan.listed_arms()), len(plan.origins)
    scenarios = count // (arms * len(seeds) * len(plan.recipes) * starts)
    even = scenarios * arms * len(seeds) * len(plan.recipes) * starts == count
    factors = [several(len(plan.recipes), "recipe"), several(arms, "arm")]
    if plan.pretraining:
        factors.insert(1, several(starts, "start"))
    if even and scenarios > 1:
        factors.append(f"{scenarios} optimizers or learning rates")
    elif not even:
        factors = [several(count // (arms * len(seeds)), "scenario"), several(arms, "arm")]
    factors.append(several(len(seeds), "seed"))
    return " × ".join(factors)


def _show_tuning(console: Console, plan: Plan, given: Sequence[Budget]) -> None:
    """Where each arm is tuned, what it costs, and what is the same for all."""
    scenarios = list(dict.fromkeys(budget.arm.spec.scenario for budget in given))
    tables: dict[str, list[Scenario]] = {}
    rows: dict[str, list[list[str]]] = {}
    names = list(dict.fromkeys(name for budget in given for name in budget.space))
    for scenario in scenarios:
        own = [_budget_row(budget, names) for budget in given if budget.arm.spec.scenario == scenario]
        tables.setdefault(repr(own), []).append(scenario)
        rows[repr(own)] = own
    for key, where in tables.items():
        title = f"Where each arm is tuned, and what it costs, {_where(where, scenarios)}"
        _show(console, title, ["arm", *names, "trial runs", "final runs", "each", "together"], rows[key])
        print()
    print(equal_between_arms(plan, given))


def _budget_row(budget: Budget, names: Sequence[str]) -> list[str]:
    spec = budget.arm.spec
    fixed = {} if budget.trials else spec.settings
    searched = [str(budget.space.get(name, fixed.get(name, "—"))) for name in names]
    lengths = [str(length) if length else "?" for length in (budget.each, budget.total)]
    return [_arm(spec), *searched, str(budget.trial_runs), str(budget.finals), *lengths]


def _where(chosen: Sequence[Scenario], scenarios: Sequence[Scenario]) -> str:
    """Some of a plan's scenarios in few words."""
    if len(scenarios) > 1 and set(chosen) == set(scenarios):
        return "in all scenarios"
    named = []
    for recipe in dict.fromkeys(scenario[0] for scenario in chosen):
        own = [scenario for scenario in scenarios if scenario[0] == recipe]
        if set(own) <= set(chosen):
            named.append(recipe)
            continue
        for _, optimizer, rate in (scenario for scenario in chosen if scenario[0] == recipe):
            named.append(f"{recipe} ({optimizer}{'' if rate is None else f', lr={rate:g}'})")
    return f"in {', '.join(named)}"


def _row(spec: RunSpec) -> list[str]:
    rate = "recipe" if spec.lr is None else f"{spec.lr:g}"
    return [spec.id, spec.recipe, _arm(spec), spec.optimizer_label, rate, str(spec.seed)]


def _trial_cells(spec: RunSpec) -> list[str]:
    """The settings of a run beside lr, and which trial it is."""
    others = {name: value for name, value in spec.settings.items() if name != LR}
    return [setting_label(others), "" if spec.trial is None else str(spec.trial)]


def _arm(spec: RunSpec) -> str:
    return spec.arm_label + (" (baseline)" if spec.baseline else "")


def _difference_rows(comparison: Comparison) -> list[list[str]]:
    return [[key, *(_short(value) for value in values)] for key, values in comparison.rows.items()]


def _short(value: Any) -> str:
    text = one_line(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _show(console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not console.is_terminal:
        if title:
            print(title)
        for row in [head, *rows]:
            print("\t".join(row))
        return
    cells = [[Text(cell) for cell in row] for row in rows]
    columns = [Column(name) for name in head]
    lines = table_lines(columns, [Section("", cells)], console.width)
    if not fits(lines, console.width):
        # A key and a value that do not stand side by side stand below each other.
        below = [Section(key.plain, [values]) for key, *values in cells]
        lines = table_lines(columns[1:], below, console.width, keys=0)
    print_lines(console, [Text(title, "bold"), *lines])
