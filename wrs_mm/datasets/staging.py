"""Writing a data set as a whole or not at all.

A set is made in a temporary folder beside its final place and renamed when it is complete; a
manifest in it says what it is, so that a complete set is not made twice.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from wrs_mm.errors import DatasetError

_MANIFEST = "wrs-mm.json"


def is_complete(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether ``folder`` holds exactly the set that ``manifest`` describes."""
    try:
        return bool(json.loads((folder / _MANIFEST).read_text(encoding="utf-8")) == manifest)
    except (OSError, json.JSONDecodeError):
        return False


def make(folder: Path, manifest: dict[str, Any], fill: Callable[[Path], None]) -> None:
    """Have ``fill`` write a set to a temporary folder, then put it at ``folder``.

    An older set of ours at that place is replaced.

    Raises:
        DatasetError: If something that is not ours is at that place.
    """
    if folder.exists() and not (folder / _MANIFEST).is_file():
        raise DatasetError(
            f"{folder} exists and was not written by wrs-mm; move it away or choose another --root"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        staging.chmod(0o755)
        fill(staging)
        text = json.dumps(manifest, indent=2) + "\n"
        (staging / _MANIFEST).write_text(text, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar with the time left while the block runs; yields what advances it by one."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
