"""Is the data that a config reads where the config says it is, and of this version?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wrs_mm.classification.class_folders import packed
from wrs_mm.datasets import mini, real, staging, tune_split
from wrs_mm.errors import DatasetError
from wrs_mm.openmmlab.configs import evaluator_configs

_MAKERS = {
    "mini-coco": ("wrs-mm data make mini", mini.VERSION),
    "mini-cityscapes": ("wrs-mm data make mini", mini.VERSION),
    "fresh-coco": ("wrs-mm data make fresh", mini.VERSION),
    "fresh-cityscapes": ("wrs-mm data make fresh", mini.VERSION),
    "mini-shapes": ("wrs-mm data make shapes", mini.VERSION),
    "standin-coco": ("wrs-mm data make standin", mini.VERSION),
    "standin-cityscapes": ("wrs-mm data make standin", mini.VERSION),
    "standin-imagenet": ("wrs-mm data make standin", mini.VERSION),
    "real-neon": ("wrs-mm data make real", real.VERSION),
    "real-nuclei": ("wrs-mm data make real", real.VERSION),
}
"""Our own sets: the command that makes each, or brings it up to date, and the version that it makes."""

SPLITS = ("train", "val", "test")
"""What a config calls the parts of its data."""


def require_dataset(cfg: Mapping[str, Any], splits: Iterable[str] = SPLITS) -> None:
    """Check that what the data loaders and evaluators of a config read exists and is up to date.

    Args:
        cfg: A resolved mmdet or mmseg config.
        splits: Those of :data:`SPLITS` that are read.

    Raises:
        DatasetError: Names the first missing path, or a set of ours that another version made, and
            says what to run.
    """
    for path in dataset_paths(cfg, splits):
        ours = next((part for part in path.parts if part in _MAKERS), None)
        if ours:
            _require_ours(path, ours)
        elif not _is_there(path):
            command = tune_split.remedy(path)
            remedy = (
                f"run `{command}`" if command else "correct data_root in the config or put the data there"
            )
            raise DatasetError(f"dataset not found: {path} does not exist; {remedy}")


def _require_ours(path: Path, name: str) -> None:
    """Check a path in a set of ours, whose folder is the part ``name`` of it."""
    command, version = _MAKERS[name]
    folder = Path(*path.parts[: path.parts.index(name) + 1])
    if folder.parent != Path("data"):
        command += f" --root {folder.parent}"
    manifest = staging.read_manifest(folder)
    # Scores on other images than those of this version would stand in one table with them.
    if manifest.get("name") == name and manifest.get("version") != version:
        raise DatasetError(f"{folder} was made by another version of wrs-mm; run `{command}`")
    if not _is_there(path):
        raise DatasetError(f"dataset not found: {path} does not exist; run `{command}`")


def _is_there(path: Path) -> bool:
    """Whether a file or folder exists, or a zip file in a folder's place."""
    return path.exists() or packed(path) is not None


def with_remedy(error: DatasetError) -> DatasetError:
    """The same error, with the command that makes the data where it speaks of one of ours."""
    command = next((command for name, (command, _) in _MAKERS.items() if f"{name}/" in str(error)), None)
    said = command is None or command in str(error)
    return error if said else DatasetError(f"{error}, or run `{command}`")


def dataset_paths(cfg: Mapping[str, Any], splits: Iterable[str] = SPLITS) -> Iterator[Path]:
    """Yield the annotation files and image folders that a config's loaders and evaluators read."""
    for split in splits:
        loader = cfg.get(f"{split}_dataloader")
        if loader:
            yield from _paths(loader.get("dataset") or {})
        for evaluator in evaluator_configs(cfg.get(f"{split}_evaluator")):
            annotations = evaluator.get("ann_file")
            if annotations and "://" not in annotations:
                yield Path(annotations)


def _paths(dataset: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths of one dataset config, looking through wrappers such as RepeatDataset."""
    inner = dataset.get("dataset") or dataset.get("datasets")
    if inner:
        for part in [inner] if isinstance(inner, Mapping) else inner:
            yield from _paths(part)
        return
    root, prefixes = dataset.get("data_root") or "", dataset.get("data_prefix") or {}
    # Any config is looked at before it is trained; a dataset of its author's may mean other things by them.
    parts = [dataset.get("ann_file") or None, *(prefixes.values() if isinstance(prefixes, Mapping) else [])]
    for part in parts:
        # mmengine also reads from what is no folder, by its address.
        if isinstance(part, (str, Path)) and "://" not in f"{root} {part}":
            yield Path(root) / part
