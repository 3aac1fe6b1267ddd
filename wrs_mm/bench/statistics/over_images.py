"""Between the runs of a benchmark: intervals over validation images, from their saved predictions.

Each run is compared with the baseline's of the same recipe, optimizer, learning rate and seed. Thousands of
resamples take a while at the size of COCO: what an earlier report found is taken over as long as the
predictions are the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.predictions import FOLDER
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.bootstrap import paired_bootstrap
from wrs_mm.bench.statistics.evaluations import Evaluation, evaluations
from wrs_mm.errors import UsageError
from wrs_mm.openmmlab.configs import evaluator_configs

COLUMNS = (
    *("recipe", "task", "optimizer", "learning_rate", "regularizer", "options", "seed", "metric"),
    *("value", "baseline_value", "difference", "low", "high", "images", "resamples", "run", "baseline_run"),
    "fingerprint",
)
"""``value``, ``baseline_value``: of the last checkpoints, unrounded. ``low``, ``high``: the percentile
bootstrap's 95 % interval of the difference over ``images``. ``fingerprint``: of both runs' predictions."""

RESAMPLES = 1000

_NAMED = 3
"""Runs that a note names."""

_ROUNDING = 0.06
"""How far a metric in percent may be from the evaluator's, which mmdet rounds to 0.1."""


class Trained(NamedTuple):
    """A run that is done, and what its predictions come to.

    Attributes:
        spec: What it is.
        run: Its folder.
        task: ``detection`` or ``segmentation``.
        evaluations: For boxes, masks or label maps; empty without saved predictions.
    """

    spec: RunSpec
    run: Run
    task: str
    evaluations: list[Evaluation]


def trained_runs(work_dir: WorkDir) -> tuple[list[Trained], list[str]]:
    """The runs of a benchmark that are done, with their evaluations.

    Returns:
        The runs, and a line for each reason why some of them have no usable predictions.
    """
    found: list[Trained] = []
    reasons: dict[str, list[str]] = {}
    for spec in work_dir.specs():
        run = work_dir.run(spec)
        result = run.result()
        if result is None or result.status is not Status.DONE:
            continue
        kept: list[Evaluation] = []
        try:
            if (run.folder / FOLDER).is_dir():
                kept = evaluations(run, annotations_file(run))
            if not kept:
                reasons.setdefault("no predictions were saved", []).append(run.name)
            for evaluation in list(kept):
                why = _contradiction(evaluation, result.metrics)
                if why:
                    reasons.setdefault(why, []).append(run.name)
                    kept.remove(evaluation)
        except UsageError as error:
            reasons.setdefault(str(error), []).append(run.name)
        found.append(Trained(spec, run, result.task, kept))
    return found, [f"{_listed(names)}: {reason}" for reason, names in reasons.items()]


def _listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} other runs" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def annotations_file(run: Run) -> Path | None:
    """The COCO annotations of a run's validation set, from its config."""
    from mmengine.config import Config

    for evaluator in evaluator_configs(Config.fromfile(run.config).get("val_evaluator")):
        if evaluator.get("ann_file"):
            return Path(evaluator.ann_file)
    return None


def _contradiction(evaluation: Evaluation, metrics: dict[str, float]) -> str | None:
    """Why predictions cannot be those that a run's metrics were measured on."""
    first = next(name for name in ("mAP", "mIoU") if evaluation.prefix + name in evaluation.metrics())
    name = evaluation.prefix + first
    value = evaluation.metrics()[name]
    if name in metrics and abs(metrics[name] - value) > _ROUNDING:
        return f"its predictions give {name} {value:.2f}, its result says {metrics[name]:.2f}; left out"
    return None


def image_intervals(
    trained: Iterable[Trained],
    known: pd.DataFrame,
    resamples: int = RESAMPLES,
    tell: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Compare each run with its baseline.

    Args:
        trained: From :func:`trained_runs`.
        known: What an earlier call returned, or an empty frame.
        resamples: Bootstrap resamples.
        tell: Hears which comparison begins, where that takes resamples.

    Returns:
        One row a pair of runs and metric, with :data:`COLUMNS`.
    """
    runs = list(trained)
    baselines = {_opponents(one.spec): one for one in runs if one.spec.baseline}
    rows: list[dict[str, Any]] = []
    for one in runs:
        other = baselines.get(_opponents(one.spec))
        if one.spec.baseline or other is None:
            continue
        for evaluation in one.evaluations:
            opponent = next((e for e in other.evaluations if e.prefix == evaluation.prefix), None)
            if opponent is None:
                continue
            fingerprint = f"{evaluation.fingerprint[:16]}-{opponent.fingerprint[:16]}"
            before = known[
                (known["run"] == one.spec.id)
                & (known["baseline_run"] == other.spec.id)
                & (known["fingerprint"] == fingerprint)
                & (known["resamples"] == resamples)
            ]
            if len(before):
                rows += [{str(k): v for k, v in row.items()} for row in before.to_dict("records")]
                continue
            tell(f"{one.spec.id}: {resamples} resamples of the validation images")
            rows += _compare(one, other, evaluation, opponent, resamples, fingerprint)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["learning_rate"] = pd.to_numeric(frame["learning_rate"])
    return frame


def _compare(
    one: Trained, other: Trained, mine: Evaluation, theirs: Evaluation, resamples: int, fingerprint: str
) -> list[dict[str, Any]]:
    found = paired_bootstrap(mine.found, theirs.found, resamples=resamples)
    values, baseline_values = mine.metrics(), theirs.metrics()
    spec = one.spec
    names = sorted(found, key=len)
    return [
        {
            **{"recipe": spec.recipe, "task": one.task, "optimizer": spec.optimizer_label},
            **{"learning_rate": spec.learning_rate, "regularizer": spec.regularizer},
            **{"options": json.dumps(spec.options, sort_keys=True, ensure_ascii=False), "seed": spec.seed},
            **{"metric": mine.prefix + name, "value": values[mine.prefix + name]},
            **{"baseline_value": baseline_values[mine.prefix + name], "difference": found[name].value},
            **{"low": found[name].low, "high": found[name].high, "images": len(mine.found.image_ids)},
            **{"resamples": resamples, "run": spec.id, "baseline_run": other.spec.id},
            "fingerprint": fingerprint,
        }
        for name in names
    ]


def _opponents(spec: RunSpec) -> tuple[Any, ...]:
    """What two runs must share to be compared."""
    return spec.recipe, spec.optimizer_label, spec.learning_rate, spec.seed
