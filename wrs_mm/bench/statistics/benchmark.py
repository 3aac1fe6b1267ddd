"""What a work dir holds, gathered once: the plan's runs with their results, logs and configs.

Statistics and report read the folders of runs nowhere else; only the predictions, which are large, are read
by :mod:`wrs_mm.bench.statistics.evaluations` and by the report's gallery.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wrs_mm.bench.plan.spec import RunSpec, Scenario
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.dynamics import run_dynamics
from wrs_mm.bench.runs.predictions import COUNTS, FOLDER
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.runs.sharpness import Measurement, run_sharpness
from wrs_mm.bench.runs.weight_noise import NoiseMeasurement, run_weight_noise
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.logs import Series, training_losses, validations
from wrs_mm.bench.statistics.results import main_metrics
from wrs_mm.engine.hooks.dynamics_file import Dynamics
from wrs_mm.values import is_number


@dataclass(frozen=True)
class RunData:
    """One run of the plan.

    Attributes:
        spec: What it is.
        folder: Where it is.
        status: Its state; unlike the result's, it may be ``pending`` or ``running``.
        result: What became of it; None where it has no result.
        config: Its resolved config; None where it has none, or where nobody asked for details.
        losses: The training loss by iteration; empty where nobody asked for details.
        validations: The metrics of each validation in percent, by iteration; likewise.
        train_validations: Those of training images at the same iterations; likewise, and empty where the run
            does not measure them.
        dynamics: What its weights did; likewise None.
        sharpness: How sharp its loss was; likewise empty.
        weight_noise: How much of its filters no gradient reached; likewise empty.
    """

    spec: RunSpec
    folder: Path
    status: Status
    result: Result | None = None
    config: Mapping[str, Any] | None = None
    losses: Series = field(default_factory=dict)
    validations: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    train_validations: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    dynamics: Dynamics | None = None
    sharpness: tuple[Measurement, ...] = ()
    weight_noise: tuple[NoiseMeasurement, ...] = ()

    @property
    def reported(self) -> Mapping[str, float]:
        """The metrics of its last checkpoint on the split that tables report; empty where it has none."""
        if self.result is None:
            return {}
        return self.result.test if self.spec.split == "test" else self.result.metrics

    @property
    def predictions(self) -> Path:
        """The folder of its predictions, which need not exist."""
        return self.folder / FOLDER

    def has_predictions(self) -> bool:
        """Whether there are any, or what a pack kept of them."""
        names = (COUNTS, "val.*.json", "matches.*")
        return any(path.is_file() for name in names for path in self.predictions.glob(name))


@dataclass(frozen=True)
class BenchmarkData:
    """A benchmark.

    Attributes:
        name: The plan's.
        path: The work dir.
        plan: The plan as it was written; None in a work dir of an older version.
        runs: The runs, in the plan's order.
        tuning: How its arms are tuned; None where they are compared as they are.
    """

    name: str
    path: Path
    plan: str | None
    runs: tuple[RunData, ...]
    tuning: Tuning | None = None


def read_benchmark(work_dir: WorkDir, details: bool = False) -> BenchmarkData:
    """Gather what a work dir holds.

    Args:
        work_dir: The work dir.
        details: Also the runs' configs and curves, which only the page shows.

    Raises:
        PlanError: The folder is not a work dir, or a file in it is damaged.
    """
    return BenchmarkData(
        name=work_dir.name,
        path=work_dir.path,
        plan=work_dir.plan.read_text(encoding="utf-8") if work_dir.plan.is_file() else None,
        runs=tuple(_read_run(work_dir, spec, details) for spec in work_dir.specs()),
        tuning=work_dir.tuning(),
    )


def _read_run(work_dir: WorkDir, spec: RunSpec, details: bool) -> RunData:
    run = work_dir.run(spec)
    status, result = run.status(), run.result()
    if not details:
        return RunData(spec, run.folder, status, result)
    identity = run.identity()
    task = identity.task if identity else ""
    return RunData(
        spec,
        run.folder,
        status,
        result,
        config=_read_config(run.config),
        losses=training_losses(run),
        validations=validations(run.validations, task),
        train_validations=validations(run.train_validations, task),
        dynamics=run_dynamics(run.folder),
        sharpness=run_sharpness(run.folder),
        weight_noise=run_weight_noise(run.folder),
    )


def _read_config(path: Path) -> dict[str, Any] | None:
    from mmengine.config import Config

    if not path.is_file():
        return None
    # It is read, not run: what it imports need not be importable here.
    content: dict[str, Any] = Config.fromfile(path, import_custom_modules=False).to_dict()
    return content


def arm_order(regularizer: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """What arms are sorted by: their names, then their options, numbers by their size."""
    numbers = [
        (key, 0, float(value), "") if is_number(value) else (key, 1, 0.0, str(value))
        for key, value in sorted(options.items())
    ]
    return regularizer, tuple(numbers)


def without_trials(runs: Iterable[RunData]) -> list[RunData]:
    """The runs that arms are compared by."""
    return [run for run in runs if run.spec.trial is None]


def in_arm_order(runs: Iterable[RunData]) -> list[RunData]:
    """Runs sorted by their arms, the baseline's first."""
    return sorted(
        runs, key=lambda run: (not run.spec.baseline, arm_order(run.spec.regularizer, run.spec.options))
    )


def by_scenario(runs: Iterable[RunData]) -> list[list[RunData]]:
    """Runs between which arms are compared: of one recipe, optimizer and learning rate; in arms' order."""
    groups: dict[Scenario, list[RunData]] = {}
    for run in in_arm_order(runs):
        groups.setdefault(run.spec.scenario, []).append(run)
    return list(groups.values())


def by_arm(runs: Iterable[RunData]) -> dict[str, list[RunData]]:
    """Runs by their arms' labels."""
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        groups.setdefault(run.spec.arm_label, []).append(run)
    return groups


def first_of_each_arm(runs: Sequence[RunData]) -> list[RunData]:
    """The first run of each arm that has a config."""
    configured = by_arm(run for run in runs if run.config is not None)
    return [group[0] for group in configured.values()]


def main_metric(runs: Iterable[RunData]) -> str | None:
    """The main metric of the runs of a recipe; None before one of them has measured it."""
    results = [run.result for run in runs if run.result is not None]
    for result in results:
        measured = {metric for one in results if one.task == result.task for metric in one.metrics}
        for metric in main_metrics(result.task, measured):
            return metric
    return None
