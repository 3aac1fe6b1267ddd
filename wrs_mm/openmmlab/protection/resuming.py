"""Which checkpoint a training goes on from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from wrs_mm.errors import CheckpointError
from wrs_mm.files import write_text
from wrs_mm.openmmlab.checkpoints import check_sums, holds_training, load_checkpoint_file, newest_first


def resume_from_last_good(runner: Any, folder: Path) -> None:
    """Have a runner, once it trains, go on from the last good checkpoint of a work dir, if there is one."""
    from mmengine.dist import broadcast_object_list, is_main_process

    # The processes agree on it; they can only since the runner was built.
    found = [str(last_good_checkpoint(folder) or "")] if is_main_process() else [""]
    broadcast_object_list(found)
    if found[0]:
        runner._load_from, runner._resume = found[0], True


def last_good_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that loads; one that does not is set aside as ``*.damaged``.

    ``best_*`` and published checkpoints hold weights for users, no training, and are not looked at. The file
    ``last_checkpoint`` names none that was set aside.

    Args:
        folder: A work dir, in which nobody trains now.
    """
    good, damaged = None, set[str]()
    for path in newest_first(folder):
        try:
            if _is_training(path):
                good = path
                break
        except CheckpointError as error:
            aside = _free_name(path.with_suffix(".damaged"))
            path.replace(aside)
            damaged.add(path.name)
            print(f"{error}; set aside as {aside.name}", file=sys.stderr)
    pointer = folder / "last_checkpoint"
    if damaged and pointer.exists() and Path(pointer.read_text().strip()).name in damaged:
        if good is None:
            pointer.unlink()
        else:
            write_text(pointer, str(good))
    return good


def _is_training(path: Path) -> bool:
    """Whether a training can go on from a file; its sums are checked, and it is loaded.

    Raises:
        CheckpointError: The file is damaged.
    """
    check_sums(path)
    return holds_training(load_checkpoint_file(path, map_location="cpu"))


def _free_name(path: Path) -> Path:
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free
