"""What the harness adds to a recipe's config, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrs_mm.bench.runs.checkpoints import KEEP

if TYPE_CHECKING:
    from mmengine.config import Config


def save_predictions(config: Config, folder: Path) -> bool:
    """Let a config's evaluators keep what the network predicts; its metrics stay as they are.

    Args:
        config: A complete config; changed in place.
        folder: Where the predictions go; it is made when they are written.

    Returns:
        Whether there is an evaluator that can keep them: mmdet's ``CocoMetric`` or mmseg's ``IoUMetric``.
    """
    evaluators = config.get("val_evaluator")
    found = False
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        name = _name(evaluator.get("type")) if evaluator else ""
        if name == "CocoMetric":
            evaluator["outfile_prefix"] = str(folder / "val")
            found = True
        elif name == "IoUMetric" and not evaluator.get("format_only", False):
            # Imported for its registration.
            from wrs_mm.bench.runs import iou_recorder

            evaluator["type"] = iou_recorder.RecordingIoUMetric.__name__
            evaluator["folder"] = str(folder)
            found = True
    return found


def _name(kind: Any) -> str:
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.rsplit(".", 1)[-1]


def keep_checkpoints(config: Config) -> None:
    """Have a recipe's checkpoint hook keep at least :data:`KEEP`, and never fewer for a moment.

    A recipe that keeps more, or all, is left as it is. So are best checkpoints, which count apart.
    """
    # What is set is copied: look it up again.
    config.setdefault("default_hooks", {})
    config.default_hooks.setdefault("checkpoint", {"type": "CheckpointHook", "interval": 1})
    hook = config.default_hooks.checkpoint
    if hook is None:
        return  # the recipe wants none
    if 0 < hook.get("max_keep_ckpts", -1) < KEEP:
        hook["max_keep_ckpts"] = KEEP
    if hook.get("type", "CheckpointHook") == "CheckpointHook":
        hook["type"] = "SafeCheckpointHook"
