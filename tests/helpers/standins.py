"""The stand-ins for COCO and Cityscapes as a config's own dataset classes and evaluators read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wrs_mm.openmmlab.configs import load_config

REDUCTION = 8
"""How much smaller the sizes in the pipelines are, for the sake of time."""


def reduced(source: str | Path, root: Path) -> Any:
    """A config with its data root changed and its pipelines reduced."""
    config = load_config(source)
    before = config.get("data_root") or config.train_dataloader.dataset.data_root
    changed = _changed(config.to_dict(), before, f"{root}/")
    return type(config)(changed)


def _changed(value: Any, before: str, after: str) -> Any:
    if isinstance(value, dict):
        changed = {key: _changed(inner, before, after) for key, inner in value.items()}
        for key in ("scale", "crop_size"):
            if key in changed and changed.get("type") in ("Resize", "RandomResize", "RandomCrop"):
                changed[key] = tuple(side // REDUCTION for side in changed[key])
        return changed
    if isinstance(value, (list, tuple)):
        return type(value)(_changed(inner, before, after) for inner in value)
    if isinstance(value, str) and value.startswith(before):
        return after + value.removeprefix(before)
    return value


def loader(config: Any, split: str, scope: str) -> Any:
    """The data loader of a split, reading in this process."""
    from mmengine.registry import DefaultScope
    from mmengine.runner import Runner

    if scope == "mmdet":
        from mmdet.utils import register_all_modules
    else:
        from mmseg.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    settings = config[f"{split}_dataloader"]
    settings.update(num_workers=0, persistent_workers=False)
    with DefaultScope.overwrite_default_scope(scope):
        return Runner.build_dataloader(settings, seed=0)


def perfect_score(config: Any, dataset: Any, batches: list[Any], scope: str) -> dict[str, float]:
    """What the config's own evaluator says of predictions that are the ground truth."""
    from mmengine.evaluator import Evaluator
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope(scope):
        evaluator = Evaluator(config.val_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    for batch in batches:
        for sample in batch["data_samples"]:
            if scope == "mmdet":
                truth = sample.gt_instances
                sample.pred_instances = type(truth)(
                    bboxes=truth.bboxes.tensor,
                    labels=truth.labels,
                    scores=truth.labels.new_ones(len(truth)).float(),
                )
                if "masks" in truth:
                    sample.pred_instances.masks = truth.labels.new_tensor(truth.masks.masks).bool()
            else:
                sample.pred_sem_seg = sample.gt_sem_seg
        evaluator.process(batch["data_samples"], batch)
    return evaluator.evaluate(len(dataset))
