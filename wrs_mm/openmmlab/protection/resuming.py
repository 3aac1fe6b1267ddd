"""Which checkpoint a training goes on from."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab.checkpoints import holds_training, load_checkpoint_file, newest_first


def last_good_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that loads; one that does not is set aside as ``*.damaged``.

    ``best_*`` and published checkpoints hold weights for users, no training, and are not looked at.

    Args:
        folder: A run's folder, in which nobody trains now.
    """
    for path in newest_first(folder):
        try:
            if _is_training(path):
                return path
        except CheckpointError as error:
            aside = _free_name(path.with_suffix(".damaged"))
            path.replace(aside)
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
    return holds_training(load_checkpoint_file(path, map_location="cpu"))


def _free_name(path: Path) -> Path:
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free
