"""The runs of a plan in a work dir, as far as they are known.

Of a plan with tuning the final runs are those at the settings that trials have shown to be an arm's best.
Nothing of it is kept: which runs there are follows from the plan and from the results on disk, so a benchmark
that was killed, or several at a time on one work dir, come to the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from wrs_mm.bench.plan import resolve
from wrs_mm.bench.plan.comparison import Resolver, resolve_pretrainings
from wrs_mm.bench.plan.expansion import PlannedArm, PlannedRun, planned_arms, planned_finals, planned_runs
from wrs_mm.bench.plan.halving import Rung, rungs_of
from wrs_mm.bench.plan.plan import Plan
from wrs_mm.bench.plan.search import at_border, setting_label
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.config_text import ConfigTexts
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.metrics import MAIN, in_percent
from wrs_mm.bench.runs.records import Identity, Status
from wrs_mm.bench.runs.validations import Validations
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.rungs import Measured, Standing, standing
from wrs_mm.bench.statistics.selection import Choice, choose
from wrs_mm.errors import PlanError
from wrs_mm.values import several


class TunedArm(NamedTuple):
    """An arm in a scenario, and what its trials have shown.

    Attributes:
        arm: The arm.
        choice: What its trials have shown so far.
    """

    arm: PlannedArm
    choice: Choice

    @property
    def label(self) -> str:
        """What it is called in messages."""
        spec = self.arm.spec(0)
        optimizer = "" if spec.optimizer == "recipe" else f", {spec.optimizer_label}"
        rate = "" if spec.learning_rate is None else f", lr={spec.learning_rate:g}"
        return f"{spec.arm_label} on {spec.recipe}{optimizer}{rate}"


class Study:
    """A plan and the work dir where its runs are.

    Args:
        plan: The plan.
        work_dir: The work dir.

    Attributes:
        plan: The plan.
        work_dir: The work dir.
        resolver: Resolves the plan's runs.
    """

    def __init__(self, plan: Plan, work_dir: WorkDir) -> None:
        self.plan = plan
        self.work_dir = work_dir
        self.resolver = Resolver(plan)
        self._arms = planned_arms(plan)
        self._resolved_runs: dict[str, tuple[Identity, str]] = {}
        self._texts = ConfigTexts()

    def known(self) -> list[PlannedRun]:
        """The runs that are known now, in the order in which they should start.

        Pretrainings, trials, finals of arms that are not tuned, and finals of those whose trials are all
        through.

        Raises:
            PlanError: A run does not resolve.
        """
        chosen = [(arm, choice.settings) for arm, choice in self.tuned()]
        finals = planned_finals([(arm, settings) for arm, settings in chosen if settings is not None])
        runs = [*planned_runs(self._arms), *finals]
        pretrainings = resolve_pretrainings(self.plan, self.resolver)
        return [*pretrainings, *(PlannedRun(run.arm, self.resolver.spec(run)) for run in runs)]

    def not_pretrained(self) -> list[str]:
        """What a person should know of runs that wait for a pretraining, one line for each of those."""
        waiting: dict[str, list[str]] = {}
        for name, pretraining in self.pretrained().items():
            if pretraining.status() is Status.FAILED:
                waiting.setdefault(pretraining.name, []).append(name)
        return [
            f"{several(len(runs), 'run')} not begun, because the pretraining {name} failed"
            for name, runs in waiting.items()
        ]

    def pretrained(self) -> dict[str, Run]:
        """The pretraining of each run that starts from one, by the run's name.

        Raises:
            PlanError: One is through, and its weights are not here.
        """
        found: dict[str, Run] = {}
        # Else every result would be read for nothing.
        for planned in self.known() if self.plan.pretraining else []:
            pretraining = self.resolver.pretraining(planned)
            if pretraining is not None:
                found[planned.spec.id] = self.work_dir.run(pretraining.spec)
                self._require_weights(found[planned.spec.id], self.work_dir.run(planned.spec))
        return found

    def pretrained_otherwise(self, processes: int) -> list[str]:
        """What a person should know of pretrainings that were trained with another batch, one line for each.

        Args:
            processes: How many train a run here.
        """
        final = {planned.spec.id for planned in self.known() if self.work_dir.run(planned.spec).is_final()}
        lines = {}
        for name, pretraining in self.pretrained().items():
            result = pretraining.result()
            if (
                result
                and result.status is Status.DONE
                and result.processes != processes
                and name not in final
            ):
                lines[pretraining.name] = (
                    f"{pretraining.name} was trained by {result.processes} at a time and runs here are by "
                    f"{processes}, each with the recipe's images: its batch was another; delete "
                    f"{pretraining.folder} to pretrain it again"
                )
        return list(lines.values())

    def _require_weights(self, pretraining: Run, run: Run) -> None:
        result = pretraining.result()
        done = result is not None and result.status is Status.DONE
        if done and not run.is_final() and not pretraining.weights.exists():
            raise PlanError(
                f"{pretraining.weights} is not here, and runs are to start from it (a pack has no weights); "
                f"delete {pretraining.folder} to pretrain it again"
            )

    def tuned(self) -> list[TunedArm]:
        """The arms that are tuned, in the plan's order."""
        return [
            TunedArm(arm, choose([(spec, self.work_dir.run(spec).result()) for spec in arm.trials()]))
            for arm in self._arms
            if arm.points
        ]

    def prepare(self) -> list[Run]:
        """Make the folders of the runs that are known now, and write down that they belong to the benchmark.

        All configs come first, so that a mistake in the last of them leaves the work dir as it was. Nobody
        else may do the same at the time.

        Raises:
            PlanError: A run does not resolve, or its folder holds training of another config.
        """
        runs = [(self.work_dir.run(run.spec), self._resolved(run)) for run in self.known()]
        for folder, (identity, _) in runs:
            folder.check(identity)
        specs = [identity.spec for _, (identity, _) in runs]
        self.work_dir.register(self.plan.name, specs, self.plan.tuning, self._to_come())
        for folder, (identity, text) in runs:
            folder.prepare(identity, text)
        for arm in self._arms:
            if arm.points:
                self._set_limits(arm)
        # Where that has stopped the last trial that an arm was waiting for, its final runs are known by now.
        return [folder for folder, _ in runs] if len(self.known()) == len(runs) else self.prepare()

    def _set_limits(self, arm: PlannedArm) -> None:
        """Say of each trial of an arm how far it may train; those that are weeded out are stopped."""
        numbers = range(len(arm.points))
        halving = self.plan.tuning.halving if self.plan.tuning else None
        now = Standing(limits=dict.fromkeys(numbers))
        if halving is not None:
            with self.plan.locating():
                rungs = rungs_of(self.resolver.config(PlannedRun(arm, arm.trials()[0])), halving)
            measured = {number: self._measured(arm, number, rungs) for number in numbers}
            now = standing(halving, rungs, dict(enumerate(arm.points)), measured)
        for number in numbers:
            for run in self._trial(arm, number):
                if number in now.stopped:
                    run.stop(now.stopped[number])
                elif number in now.limits:
                    run.set_limit(now.limits[number])
                    # A longer search, or one that keeps more, takes it up again.
                    run.unstop()

    def _measured(self, arm: PlannedArm, number: int, rungs: Sequence[Rung]) -> Measured:
        """What a trial measured at each rung, the mean over its seeds."""
        by_seed = [[_value_at(run, rung) for rung in rungs] for run in self._trial(arm, number)]
        means = []
        for values in zip(*by_seed, strict=True):
            known = [value for value in values if value is not None]
            means.append(fmean(known) if len(known) == len(values) else None)
        return means

    def _trial(self, arm: PlannedArm, number: int) -> list[Run]:
        return [self.work_dir.run(arm.trial(number, seed)) for seed in arm.trial_seeds]

    def _to_come(self) -> int:
        """How many final runs there will be beside those that are known."""
        waiting = [tuned for tuned in self.tuned() if tuned.choice.waiting and not self._failed(tuned)]
        return len(waiting) * len(self.plan.seeds)

    def _failed(self, tuned: TunedArm) -> list[RunSpec]:
        """The trials of an arm that failed, without which its best settings are not known."""
        return [s for s in tuned.choice.waiting if self.work_dir.run(s).status() is Status.FAILED]

    def _resolved(self, run: PlannedRun) -> tuple[Identity, str]:
        """What a run is, and its config's text."""
        if run.spec.id not in self._resolved_runs:
            config = self.resolver.config(run)
            identity = Identity(
                spec=run.spec,
                task=resolve.task(config),
                dataset=resolve.dataset_name(config),
                config_hash=resolve.config_hash(config.to_dict()),
            )
            self._resolved_runs[run.spec.id] = identity, self._texts.text(config)
        return self._resolved_runs[run.spec.id]

    def chosen_lines(self) -> dict[str, str]:
        """For each arm whose settings are known a line that says them, by the arm's label."""
        lines = {}
        for tuned in self.tuned():
            choice = tuned.choice
            if choice.trial is not None and choice.settings is not None:
                score = f"{choice.metric} {choice.scores[choice.trial]:.2f} on tune"
                lines[tuned.label] = (
                    f"{tuned.label}: {setting_label(choice.settings)} (trial {choice.trial} of "
                    f"{len(choice.points)}, {score})"
                )
        return lines

    def complaints(self) -> list[str]:
        """What a person should know of the tuning, one line each: what failed, and where to look further."""
        return [line for tuned in self.tuned() if (line := self._complaint(tuned))]

    def _complaint(self, tuned: TunedArm) -> str | None:
        arm, choice = tuned
        tuning = self.plan.tuning
        assert tuning is not None, "arms are tuned where the plan says how"
        keys = {name: tuning.key(arm.regularizer.name, name, arm.optimizer.name) for name in arm.space}
        failed = self._failed(tuned)
        if failed:
            return f"{tuned.label}: no final runs, because {len(failed)} of its trials failed"
        diverged = self._diverged_pretraining(arm) if choice.hopeless else None
        if diverged:
            return f"{tuned.label}: no final runs, because its pretraining {diverged} diverged"
        if choice.hopeless:
            # With halving the others were stopped, because these were better.
            which = (
                "all of its trials" if tuning.halving is None else "all of its trials that were not stopped"
            )
            return (
                f"{tuned.label}: no final runs, because {which} diverged; move {' or '.join(keys.values())}"
            )
        settings = choice.settings or {}
        found = at_border(arm.space, settings)
        if found:
            return (
                f"{tuned.label}: its best trial, {setting_label(settings)}, is at the border of the search; "
                f"widen {' and '.join(keys[name] for name in found)}"
            )
        return None

    def _diverged_pretraining(self, arm: PlannedArm) -> str | None:
        """The name of the pretraining that an arm's first trial starts from, if it diverged."""
        pretraining = self.resolver.pretraining(PlannedRun(arm, arm.trial(0, arm.trial_seeds[0])))
        run = None if pretraining is None else self.work_dir.run(pretraining.spec)
        result = None if run is None else run.result()
        return run.name if run and result and result.status is Status.DIVERGED else None


def _value_at(run: Run, rung: Rung) -> float | None:
    """The main metric of a run at a rung; NaN where it has none and never will, None while it may."""
    found, identity = Validations(run.validations).number(rung.validation), run.identity()
    if found is None or identity is None:
        return math.nan if run.is_final() else None
    metrics = in_percent(found, identity.task)
    return next((metrics[name] for name in MAIN.get(identity.task, ()) if name in metrics), math.nan)
