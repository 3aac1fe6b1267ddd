"""Writing a data set as a whole or not at all.

A set is made in a temporary folder beside its final place and renamed when it is complete; a
manifest in it says what it is, so that a complete set is not made twice.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
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
from wrs_mm.files import replace_folder

_MANIFEST = "wrs-mm.json"


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the set in ``folder`` says of itself; nothing where there is none of ours."""
    try:
        content = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_complete(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether ``folder`` holds exactly the set that ``manifest`` describes."""
    return read_manifest(folder) == manifest


def make(folder: Path, manifest: dict[str, Any], fill: Callable[[Path], None]) -> None:
    """Have ``fill`` write a set to a temporary folder, then put it at ``folder``.

    An older set of ours stays at that place until the new one is complete, so that ``fill`` can take
    over parts of it (:func:`take_over`).

    Raises:
        DatasetError: If something that is not ours is at that place.
    """
    if folder.exists() and not (folder / _MANIFEST).is_file():
        raise DatasetError(
            f"{folder} exists and was not written by wrs-mm; move it away or choose another --root"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    staging, replaced = scratch / "new", scratch / "old"
    try:
        staging.mkdir()
        fill(staging)
        text = json.dumps(manifest, indent=2) + "\n"
        (staging / _MANIFEST).write_text(text, encoding="utf-8")
        replace_folder(staging, folder, replaced)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def take_over(old: Path, new: Path, names: Iterable[str]) -> None:
    """Put files of one set into another: as links, which cost nothing, or else as copies.

    Args:
        old: The folder that has them; it keeps them.
        new: The folder that gets them.
        names: Paths below both.
    """
    for name in names:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(old / name, new / name)
        except OSError:
            # Not every file system has hard links.
            shutil.copy2(old / name, new / name)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar with the time left while the block runs; yields what advances it by one."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
