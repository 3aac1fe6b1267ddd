"""A tuned benchmark that nobody ran: trials and final runs of four arms on two recipes, with curves and logs.

How good a training is follows from its settings: a bell over their logarithms, and noise by the seed. So the
page of a tuned plan can be drawn and looked at within seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_up import write_log

from wrs_mm.bench.plan.expansion import PlannedArm, planned_arms, planned_finals
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Identity, Result, Status
from wrs_mm.bench.runs.validations import Validations
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.selection import choose

DETECTOR = "mini/faster-rcnn_r18-narrow_fpn_mini-coco"
SEGMENTOR = "mini/pspnet_r18-narrow_mini-cityscapes"

PLAN = """
name: tuned
recipes: [RECIPES]
regularizers: [none, wd, wrs, wrs_matched]
tuning:
  trials: TRIALS
  search:
    lr: [0.01, 1.0]
    wd: {weight_decay: [1.0e-5, 1.0e-1]}
    wrs: {}
  seeds: [100]
seeds: SEEDS
baseline: wd
"""

BEST = {
    "none": (46.0, {"lr": (0.1, 1.0)}),
    "wd": (52.0, {"lr": (0.1, 1.3), "weight_decay": (1e-3, 2.5)}),
    "wrs": (53.0, {"lr": (1.6, 1.4)}),
    "wrs_matched": (54.0, {"lr": (0.12, 1.3)}),
}
"""Of each arm the best metric, and by setting where it is best, and how broad the bell is (in e-folds)."""

DIVERGES = {"none": 0.8, "wd": 0.6}
"""The learning rate above which an arm's training diverges."""


def make_tuned_work_dir(
    path: Path, trials: int = 16, seeds: int = 5, recipes: Sequence[str] = (DETECTOR, SEGMENTOR)
) -> WorkDir:
    """A work dir of a plan with tuning, all of whose runs are through.

    Args:
        path: The work dir.
        trials: Of each arm.
        seeds: Of the final runs.
        recipes: Of the plan.
    """
    plan_path = path.parent / f"{path.name}.yaml"
    text = PLAN.replace("RECIPES", ", ".join(recipes)).replace("TRIALS", str(trials))
    plan_path.write_text(text.replace("SEEDS", str(list(range(seeds)))))
    plan, work_dir = load_plan(plan_path), WorkDir(path)
    arms = planned_arms(plan)
    path.mkdir()
    (path / "plan.yaml").write_text(plan_path.read_text())
    for arm in arms:
        for spec in arm.trials():
            make_run(work_dir, spec)
    finals = [run.spec for run in planned_finals([(arm, _settings(work_dir, arm)) for arm in arms])]
    for spec in finals:
        make_run(work_dir, spec)
    trial_specs = [spec for arm in arms for spec in arm.trials()]
    work_dir.register(plan.name, [*trial_specs, *finals], plan.tuning)
    return work_dir


def _settings(work_dir: WorkDir, arm: PlannedArm) -> dict[str, Any]:
    choice = choose([(spec, work_dir.run(spec).result()) for spec in arm.trials()])
    assert choice.settings is not None
    return dict(choice.settings)


def make_run(work_dir: WorkDir, spec: RunSpec) -> None:
    """The folder of a run that is through, as training leaves it; a trial's has no curves."""
    run = work_dir.run(spec)
    task = "detection" if spec.recipe == DETECTOR else "segmentation"
    text = f"optim_wrapper = dict(type={spec.regularizer!r}, optimizer=dict(lr={spec.lr}))\n"
    run.prepare(Identity(spec=spec, task=task, dataset="made up", config_hash="0"), text)
    shared: dict[str, Any] = {"task": task, "dataset": "made up", "device": "cpu", "threads": 1}
    if spec.settings["lr"] > DIVERGES.get(spec.regularizer, math.inf):
        run.write_result(Result(status=Status.DIVERGED, iteration=93, reason="the loss is nan", **shared))
        return
    rng = np.random.default_rng([spec.seed, len(spec.regularizer), int(1e6 * spec.settings["lr"])])
    expected = _expected(spec) + (20 if task == "segmentation" else 0)
    training = rng.normal(0, 0.6)
    tune, test = (expected + training + rng.normal(0, 0.5) for _ in range(2))
    if spec.trial is None:
        _write_curves(run, task, tune, rng)
    run.write_result(
        Result(
            status=Status.DONE,
            metrics=_metrics(task, tune - 1),
            test=_metrics(task, test),
            iteration=600,
            seconds=61.0,
            peak_memory=512.0,
            versions={"python": "3.11", "torch": "2.14"},
            **shared,
        )
    )


def _expected(spec: RunSpec) -> float:
    best, bells = BEST[spec.regularizer]
    squares = [(math.log(spec.settings[name] / at) / width) ** 2 for name, (at, width) in bells.items()]
    return best * math.exp(-0.5 * sum(squares))


def _metrics(task: str, value: float) -> dict[str, float]:
    names = ("bbox_mAP", "bbox_mAP_50") if task == "detection" else ("mIoU", "mAcc")
    return {name: round(value + 9 * index, 2) for index, name in enumerate(names)}


def _write_curves(run: Any, task: str, tune: float, rng: np.random.Generator) -> None:
    scale = 0.01 if task == "detection" else 1.0
    prefix = "coco/" if task == "detection" else ""
    for path, end in ((run.validations, tune - 1), (run.train_validations, tune + 6 + rng.normal(0, 0.5))):
        validations = Validations(path)
        for step in range(100, 601, 100):
            value = end * (1 - math.exp(-step / 150)) + rng.normal(0, 0.4) * (step < 600)
            validations.add(step, {f"{prefix}{k}": v * scale for k, v in _metrics(task, value).items()})
        validations.write()
    write_log(run, "20261123_100000", range(10, 601, 10), tune / 100)
