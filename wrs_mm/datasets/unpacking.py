"""Why a folder of a dataset is not where it should be: what usually goes wrong when unpacking."""

from __future__ import annotations

import os
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path

from wrs_mm.datasets.finding import Finding

_DEPTH = 2
"""How many folders below the root, at most, a misplaced folder is looked for."""


def missing_folder(root: Path, folder: str, folders: Sequence[str], archive: str, source: str) -> Finding:
    """Say where a missing folder is instead, or how to get it.

    Args:
        root: The dataset's root.
        folder: Name of the folder that is missing directly below the root.
        folders: Names of all folders that belong there.
        archive: Name of the zip file that holds the folder.
        source: The command that gets it.
    """
    part = f"{folder}/"
    places = [*_folders(root), root.resolve().parent]
    for place in places:
        if (place / folder).is_dir():
            found = f"missing, but there is {place / folder}"
            if all((place / name).is_dir() for name in folders):
                return Finding(part, found, f"give {quoted(place)} as the root")
            return Finding(part, found, f"move it: mv {quoted(place / folder)} {quoted(root)}/")
    for place in [root, *places]:
        path = place / archive
        if path.is_file():
            return Finding(part, f"missing, but there is {path}", _unpack(path, root))
    return Finding(part, "missing", f"get it: {source}")


def doubled_folder(folder: Path) -> Finding | None:
    """Find ``train2017/train2017``: a zip unpacked into a folder of the same name."""
    inner = folder / folder.name
    if not inner.is_dir():
        return None
    remedy = (
        f"it was unpacked too deep: mv {quoted(folder)} {quoted(folder)}.outer && "
        f"mv {quoted(folder)}.outer/{folder.name} {quoted(folder.parent)}/"
    )
    return Finding(f"{folder.name}/", f"holds another {folder.name}/", remedy)


def quoted(path: Path) -> str:
    """The path as a shell takes it."""
    return shlex.quote(str(path))


def _folders(root: Path) -> list[Path]:
    """Folders below the root that something may have been unpacked into."""
    found: list[Path] = []
    level = [root]
    for _ in range(_DEPTH):
        level = [entry for place in level for entry in _few_subfolders(place)]
        found += level
    return found


def _few_subfolders(folder: Path) -> list[Path]:
    """The subfolders of a folder; none of one that has as many as a dataset has cities."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(Path(entry.path) for entry in entries if entry.is_dir() and entry.name[0] != ".")
    except PermissionError:
        # Such as lost+found at the root of a disk: none of the dataset's business.
        return []
    return found if len(found) < 20 else []


def _unpack(archive: Path, root: Path) -> str:
    if not zipfile.is_zipfile(archive):
        return f"the download broke off: get {quoted(archive)} again, then unzip it into {quoted(root)}"
    return f"unpack it: unzip -q {quoted(archive)} -d {quoted(root)}"
