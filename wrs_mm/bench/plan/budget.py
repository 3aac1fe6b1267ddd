"""What tuning gives each arm of a plan: where it looks, how many runs it has, and how long they train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wrs_mm.bench.plan.backbones import weights_of
from wrs_mm.bench.plan.comparison import ResolvedArm, Resolver, resolve_pretraining_arms
from wrs_mm.bench.plan.expansion import PlannedArm, planned_arms
from wrs_mm.bench.plan.halving import rungs_of, share_trained
from wrs_mm.bench.plan.length import Length, training_length
from wrs_mm.bench.plan.plan import Plan
from wrs_mm.bench.plan.search import LR, Values


@dataclass(frozen=True)
class Budget:
    """What an arm in a scenario gets.

    Attributes:
        arm: The arm, resolved.
        space: Where it is tuned; empty where there is nothing to tune.
        trials: Its trials.
        trial_runs: Their runs, with all seeds.
        finals: Its final runs.
        each: How long each of its runs trains; None where the recipe does not say.
        total: How long all of them train together, likewise; with halving, if no trial diverges.
    """

    arm: ResolvedArm
    space: Mapping[str, Values]
    trials: int
    trial_runs: int
    finals: int
    each: Length | None
    total: Length | None


def budgets(plan: Plan, arms: Sequence[ResolvedArm]) -> list[Budget]:
    """What each arm in each scenario gets.

    Args:
        plan: The plan.
        arms: Its arms, from :func:`wrs_mm.bench.plan.comparison.resolve_arms`.
    """
    found = []
    for planned, arm in zip(planned_arms(plan), arms, strict=True):
        each, trials, finals = training_length(arm.config), len(planned.trials()), len(plan.seeds)
        found.append(
            Budget(
                arm=arm,
                space=planned.space,
                trials=len(planned.points),
                trial_runs=trials,
                finals=finals,
                each=each,
                total=each and Length(_trained(plan, planned, arm, each) + finals * each.count, each.unit),
            )
        )
    return found


def pretraining_budgets(plan: Plan, resolver: Resolver) -> list[Budget]:
    """What each arm of the plan's pretrainings gets: runs as they are, none to tune.

    Those whose weights are here need not be trained, and are not counted.

    Args:
        plan: The plan.
        resolver: What resolves its runs.
    """
    found = []
    for arm, specs in resolve_pretraining_arms(plan, resolver):
        each = training_length(arm.config)
        count = sum(not weights_of(spec).exists() for spec in specs)
        total = each and Length(count * each.count, each.unit)
        found.append(Budget(arm, {}, trials=0, trial_runs=0, finals=count, each=each, total=total))
    return found


def _trained(plan: Plan, planned: PlannedArm, arm: ResolvedArm, each: Length) -> int:
    """How long an arm's trials, each of that length, train together, in the recipe's unit."""
    if plan.tuning is None:
        return 0
    halving, count = plan.tuning.halving, len(planned.points)
    if halving is None:
        return len(planned.trials()) * each.count
    with plan.locating():
        rungs = rungs_of(arm.config, halving)
    return share_trained(halving, rungs, count, each.count) * len(planned.trial_seeds)


def equal_between_arms(plan: Plan, given: Sequence[Budget]) -> str:
    """What is the same for all arms of each scenario, and what is not, in one line."""
    by_scenario: dict[object, list[Budget]] = {}
    for budget in given:
        by_scenario.setdefault(budget.arm.spec.scenario, []).append(budget)

    def same(*values: object) -> bool:
        return len(set(values)) == 1

    groups = by_scenario.values()
    trials = all(same(*(budget.trial_runs for budget in own)) for own in groups)
    rates = all(same(*(budget.space.get(LR) for budget in own)) for own in groups)
    lengths = all(same(*(budget.each for budget in own)) for own in groups)
    seeds = plan.tuning.seeds if plan.tuning else []
    texts = {
        f"the number of trials, and their seeds ({', '.join(map(str, seeds))})": trials,
        "the values of lr that they try": trials and rates and LR in given[0].space,
        f"the seeds of the final runs ({', '.join(map(str, plan.seeds))})": True,
        "how long a run trains": lengths,
    }
    equal = [text for text, holds in texts.items() if holds]
    line = f"The same for all arms: {'; '.join(equal)}."
    unequal = [text for text, holds in texts.items() if not holds and "values of lr" not in text]
    return f"{line} Not the same: {'; '.join(unequal)}." if unequal else line
