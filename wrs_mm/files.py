"""Files that are either whole or absent: written to a temporary name, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def open_atomically(file: str | Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Open a file for writing so that a reader, or a crash, sees the old file or the new one.

    Args:
        file: Where to write; its folder exists.
        mode: ``"w"`` or ``"wb"``.
        **options: As in :func:`open`.

    Raises:
        OSError: It could not be written (the disk is full, say); the old file is as it was.
    """
    path = Path(file)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(temporary, mode, **options) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content``, whole or not at all.

    Raises:
        OSError: As :func:`open_atomically`.
    """
    with open_atomically(path, "wb") as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder with all its files: it appears whole or not at all.

    A folder of its name goes, with what is in it. A crash just then leaves neither of them there.

    Args:
        folder: The folder; the one that it is in exists.
        files: Contents by names below it, with slashes.

    Raises:
        OSError: It could not be written; what was there before is as it was.
    """
    new, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}.tmp") for kind in ("new", "old"))
    try:
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, content)
        replace_folder(new, folder, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def replace_folder(new: Path, folder: Path, old: Path) -> None:
    """Put a folder in the place of another, in two renames: deleted in place, a part of it would be seen.

    Args:
        new: The one to put there.
        folder: The place; nothing need be there.
        old: Where what was there goes; whoever calls removes it.

    Raises:
        OSError: It could not be done; what was there before is there.
    """
    try:
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    finally:
        # An interruption counts as well as an error.
        if old.exists() and not folder.exists():
            os.replace(old, folder)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders whose writer was killed: half checkpoints fill a disk.

    Only for a folder in which nobody else writes now.
    """
    for path in folder.glob(".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
