"""What a plan would cost, and how small a difference it could tell: from runs of the same recipes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wrs_mm.bench.plan.budget import Budget
from wrs_mm.bench.plan.plan import Plan
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.snapshot import duration
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import RunData, main_metric, read_benchmark
from wrs_mm.bench.statistics.over_seeds import summarize
from wrs_mm.bench.statistics.power import detectable_sentence, minimum_detectable_difference, pooled_sd
from wrs_mm.bench.statistics.results import gather, records


def forecast(plan: Plan, given: Sequence[Budget], measured: WorkDir) -> list[str]:
    """What can be said of each recipe of a plan beforehand, one line each.

    Args:
        plan: The plan.
        given: What its arms get, from :mod:`wrs_mm.bench.plan.budget`; pretrainings may be among them.
        measured: A work dir with runs of the same recipes, of this plan or of another one.

    Raises:
        PlanError: The folder is no work dir.
    """
    runs = [run for run in read_benchmark(measured).runs if run.status is Status.DONE]
    lines = []
    by_recipe: dict[str, list[Budget]] = {}
    for budget in given:
        by_recipe.setdefault(_without_start(budget.arm.spec), []).append(budget)
    for recipe, budgets in by_recipe.items():
        if not any(budget.trial_runs + budget.finals for budget in budgets):
            continue  # pretrainings that are all made
        own = [run for run in runs if _without_start(run.spec) == recipe]
        if not own:
            lines.append(f"{recipe}: nothing of it is done in {measured.path}, so nothing is known of it")
            continue
        lines.append(_time_line(recipe, budgets, own))
        lines.append(f"{recipe}: {_difference_line(plan, own)}")
    return lines


def _without_start(spec: RunSpec) -> str:
    """A run's recipe, wherever its backbone comes from: that takes no time."""
    return spec.start.recipe if spec.start else spec.recipe


def _time_line(recipe: str, given: Sequence[Budget], measured: Sequence[RunData]) -> str:
    results = [run.result for run in measured if run.result is not None]
    seconds = math.fsum(result.seconds for result in results)
    updates = sum(result.iteration for result in results)
    each = seconds / len(results)
    per_update = seconds / updates if updates else None
    total = math.fsum(_seconds(budget, each, per_update) for budget in given)
    runs = sum(budget.trial_runs + budget.finals for budget in given)
    return f"{recipe}: {runs} runs, {duration(total)} one after the other (measured: {duration(each)} a run)"


def _seconds(budget: Budget, each: float, per_update: float | None) -> float:
    """How long the runs of an arm take together.

    Args:
        budget: What the arm gets.
        each: Seconds of a run that was measured.
        per_update: Seconds of one of its updates.
    """
    if budget.each is None or budget.total is None:
        return each * (budget.trial_runs + budget.finals)
    if budget.each.unit == "iteration" and per_update is not None:
        return per_update * budget.total.count
    # How many updates an epoch has is known to the data alone: the measured runs are taken to be as long.
    return each * budget.total.count / budget.each.count


def _difference_line(plan: Plan, measured: Sequence[RunData]) -> str:
    finals = [run for run in measured if run.spec.trial is None]
    metric = main_metric(finals)
    pairs = [(run.spec, run.result) for run in finals if run.result is not None]
    rows = [
        row for row in records(summarize(gather(pairs))) if row["metric"] == metric and not row["baseline"]
    ]
    sd = pooled_sd([row["difference_sd"] for row in rows], [row["pairs"] for row in rows])
    if metric is None or math.isnan(sd):
        return "how small a difference this plan can tell is not known: no two arms share two seeds there"
    found = minimum_detectable_difference(sd, len(plan.seeds))
    sentence = detectable_sentence(found, len(plan.seeds), metric)
    return f"{sentence} (paired differences measured: sd {sd:.2f})"
