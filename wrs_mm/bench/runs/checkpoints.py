"""Which checkpoint a run goes on from, and how many a recipe must keep for that."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab.checkpoints import load_checkpoint_file

if TYPE_CHECKING:
    pass

KEEP = 2
"""Checkpoints that a run has at least while it is under way: the last one may turn out damaged."""

_STATE = {"meta", "state_dict", "optimizer", "message_hub"}
"""What a checkpoint holds from which a training can go on."""


def last_good_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that loads; one that does not is set aside as ``*.damaged``.

    ``best_*`` and published checkpoints hold weights for users, no training, and are not looked at.

    Args:
        folder: A run's folder, in which nobody trains now.
    """
    pointer = folder / "last_checkpoint"
    pointed = Path(pointer.read_text().strip()).name if pointer.exists() else ""
    candidates = [path for path in folder.glob("*.pth") if not path.name.startswith("best_")]
    candidates.sort(key=lambda path: (path.name == pointed, path.stat().st_mtime_ns), reverse=True)
    for path in candidates:
        try:
            if _is_training(path):
                return path
        except CheckpointError as error:
            aside = _free_name(path.with_suffix(".damaged"))
            os.replace(path, aside)
            print(f"{error}; set aside as {aside.name}", file=sys.stderr)
    return None


def _is_training(path: Path) -> bool:
    """Whether a training can go on from a file; its sums are checked, and it is loaded.

    Raises:
        CheckpointError: The file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"checkpoint {path} is damaged ({error})") from error
    if broken is not None:
        raise CheckpointError(f"checkpoint {path} is damaged ({broken} has another checksum)")
    content = load_checkpoint_file(path, map_location="cpu")
    return isinstance(content, dict) and content.keys() >= _STATE


def _free_name(path: Path) -> Path:
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free
