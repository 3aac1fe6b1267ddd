"""Is the data that a config reads where the config says it is?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wrs_mm.errors import DatasetError
from wrs_mm.openmmlab.configs import evaluator_configs

_MAKERS = {
    "mini-coco": "run `wrs-mm data make mini`",
    "mini-cityscapes": "run `wrs-mm data make mini`",
    "standin-coco": "run `wrs-mm data make standin`",
    "standin-cityscapes": "run `wrs-mm data make standin`",
    "real-neon": "run `wrs-mm data make real`",
    "real-nuclei": "run `wrs-mm data make real`",
}


def require_dataset(cfg: Mapping[str, Any]) -> None:
    """Check that what the data loaders and evaluators of a config read exists.

    Args:
        cfg: A resolved mmdet or mmseg config.

    Raises:
        DatasetError: Names the first missing path and says what makes it.
    """
    for path in dataset_paths(cfg):
        if not path.exists():
            known = [_MAKERS[part] for part in path.parts if part in _MAKERS]
            remedy = known[0] if known else "correct data_root in the config or put the data there"
            raise DatasetError(f"dataset not found: {path} does not exist; {remedy}")


def with_remedy(error: DatasetError) -> DatasetError:
    """The same error, with the command that makes the data where it speaks of one of ours."""
    remedy = next((maker for name, maker in _MAKERS.items() if f"{name}/" in str(error)), None)
    return DatasetError(f"{error}, or {remedy}") if remedy else error


def dataset_paths(cfg: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the annotation files and image folders that a config's loaders and evaluators read."""
    for split in ("train", "val", "test"):
        loader = cfg.get(f"{split}_dataloader")
        if loader:
            yield from _paths(loader["dataset"])
        for evaluator in evaluator_configs(cfg.get(f"{split}_evaluator")):
            if evaluator.get("ann_file"):
                yield Path(evaluator["ann_file"])


def _paths(dataset: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths of one dataset config, looking through wrappers such as RepeatDataset."""
    inner = dataset.get("dataset") or dataset.get("datasets")
    if inner:
        for part in [inner] if isinstance(inner, Mapping) else inner:
            yield from _paths(part)
        return
    root = Path(dataset.get("data_root") or "")
    if dataset.get("ann_file"):
        yield root / dataset["ann_file"]
    for prefix in (dataset.get("data_prefix") or {}).values():
        if prefix is not None:
            yield root / prefix
