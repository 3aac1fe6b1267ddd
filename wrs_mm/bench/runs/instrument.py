"""What the harness adds to a recipe, in one place: to its config, and to the runner that is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wrs_mm.bench.plan.dynamics import DynamicsOptions
from wrs_mm.bench.plan.spec import RunSpec, Split
from wrs_mm.bench.plan.splits import CONFIG_PREFIX
from wrs_mm.bench.runs import predictions
from wrs_mm.bench.runs.evaluation import TrainImagesHook
from wrs_mm.bench.runs.hooks import MissedValidationHook, WatchHook
from wrs_mm.engine.hooks import WeightDynamicsHook
from wrs_mm.openmmlab.configs import evaluator_configs
from wrs_mm.openmmlab.protection.protect import protect_config
from wrs_mm.values import type_name

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def instrument(config: Config, folder: Path, launcher: str, spec: RunSpec) -> None:
    """Make a recipe's config that of a run.

    Args:
        config: A resolved config; changed in place.
        folder: The run's folder.
        launcher: How the processes of the run were started: ``none``, ``pytorch`` or ``slurm``.
        spec: What the run is. A trial keeps no predictions, and does not watch its weights: nobody reports
            them.
    """
    config.work_dir = str(folder)
    config.launcher = launcher
    protect_config(config)
    if spec.trial is None:
        save_predictions(config, folder / predictions.FOLDER, spec.split)
        if spec.dynamics is not None:
            _watch_weights(config, spec.dynamics)


def watch_runner(runner: Runner, watch: WatchHook, train_images: TrainImagesHook | None = None) -> None:
    """Register the hooks that no config can carry: one holds a function, and another that one."""
    if train_images is not None:
        # Before the watch, which takes what it measures for a part of the validation.
        runner.register_hook(train_images)
    runner.register_hook(watch)
    runner.register_hook(MissedValidationHook(watch))


def save_predictions(config: Config, folder: Path, split: Split = "tune") -> bool:
    """Let a config's evaluators keep what the network predicts; its metrics stay as they are.

    Args:
        config: A complete config; changed in place.
        folder: Where the predictions go; it is made when they are written.
        split: On which split.

    Returns:
        Whether there is an evaluator that can keep them: mmdet's ``CocoMetric`` or mmseg's ``IoUMetric``.
    """
    found = False
    for evaluator in evaluator_configs(config.get(f"{CONFIG_PREFIX[split]}_evaluator")):
        name = type_name(evaluator.get("type", ""))
        if name == "CocoMetric":
            evaluator["outfile_prefix"] = str(folder / "val")
            found = True
        elif name == "IoUMetric" and not evaluator.get("format_only", False):
            # It needs mmseg, which a detector's training does not.
            from wrs_mm.bench.runs.iou_recorder import RecordingIoUMetric

            evaluator["type"] = RecordingIoUMetric.__name__
            evaluator["folder"] = str(folder)
            found = True
    return found


def _watch_weights(config: Config, options: DynamicsOptions) -> None:
    """Let a config's training watch its weights as a plan says; in place of a hook of its own that does.

    Args:
        config: A complete config; changed in place.
        options: Those of the hook.
    """
    name = WeightDynamicsHook.__name__
    hooks = [*(config.get("custom_hooks") or [])]
    others = [
        hook for hook in hooks if not (hasattr(hook, "get") and type_name(hook.get("type", "")) == name)
    ]
    config.custom_hooks = [*others, {"type": name, **options.model_dump()}]
