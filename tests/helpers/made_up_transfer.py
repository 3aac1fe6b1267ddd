"""Runs that start from pretrained backbones, made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wrs_mm.bench.plan.spec import RunSpec, Start
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.benchmark import RunData

RECIPE = "r"


def finetuned(
    start: str, arm: str, seed: int, value: float | None, pretraining: int | None = None, **fields: Any
) -> RunData:
    """A segmentor that starts from a backbone; ``wd`` is the baseline.

    Args:
        start: What the backbone was pretrained with.
        arm: What it was finetuned with.
        seed: Its seed.
        value: Its mIoU; None for a run that diverged.
        pretraining: The pretraining's seed.
        **fields: Others of its spec.
    """
    file = None if pretraining is None else f"work_dirs/pretrained/{_address(start, pretraining)}/backbone.pt"
    spec = RunSpec(
        recipe=f"{RECIPE} from {start}",
        config=RECIPE,
        start=Start(label=start, recipe=RECIPE, checkpoint=file, pretraining=pretraining),
        **{"regularizer": arm, "options": {}, "optimizer": "recipe", **fields},
        seed=seed,
        baseline=arm == "wd",
    )
    status = Status.DIVERGED if value is None else Status.DONE
    metrics = {} if value is None else {"mIoU": value}
    result = Result(status=status, task="segmentation", metrics=metrics)
    if spec.split == "test":
        result = result.model_copy(update={"test": metrics})
    return RunData(spec, Path(), status, result)


def pretrained(arm: str, seed: int, value: float) -> RunData:
    """The pretraining that such a backbone is from, with its accuracy."""
    spec = RunSpec(recipe="p", regularizer=arm, options={}, optimizer="recipe", seed=seed, baseline=False)
    spec = spec.model_copy(update={"pretraining": _address(arm, seed)})
    result = Result(status=Status.DONE, task="classification", metrics={"top1": value})
    return RunData(spec, Path(), Status.DONE, result)


def _address(arm: str, seed: int) -> str:
    """A made-up hash of its config."""
    return f"{arm}{seed:04}"
