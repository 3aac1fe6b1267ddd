"""Images by class: a folder for each class, as ImageNet has them, or a zip file of such folders.

``root/train/heart/1.jpg`` or ``heart/1.jpg`` in ``root/train.zip``: what is packed reads as what is not, and
thousands of small files need not be. A zip file's images have addresses of their own,
``zip://root/train.zip/heart/1.jpg``, under which mmengine, and so every transform that loads a file, finds
them.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from mmengine.fileio import BaseStorageBackend, register_backend

from wrs_mm.errors import DatasetError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Endings of image files, those that torchvision's ImageFolder reads; in any case."""

_PREFIX = "zip"


def packed(folder: Path) -> Path | None:
    """The zip file that stands in for a folder that is not there; None where there is none."""
    archive = folder.with_name(f"{folder.name}.zip")
    return archive if not folder.is_dir() and archive.is_file() else None


def images_by_class(folder: Path) -> dict[str, list[str]]:
    """The images of each class, both in the order of their names.

    Args:
        folder: It holds a folder for each class; or there is a zip file of its name instead.

    Returns:
        By class, the paths of its images below ``folder``.

    Raises:
        DatasetError: There is neither, or it cannot be read.
    """
    archive = packed(folder)
    if archive is None:
        try:
            return dict(sorted(_in_folder(folder).items()))
        except OSError as error:
            raise DatasetError(f"{folder} cannot be read ({error.strerror})") from error
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{archive} cannot be read as a zip file ({error})") from error
    found: dict[str, list[str]] = {}
    for name in names:
        kind, _, rest = name.partition("/")
        if rest:
            found.setdefault(kind, [])
        if rest.lower().endswith(EXTENSIONS):
            found[kind].append(name)
    return {kind: sorted(found[kind]) for kind in sorted(found)}


def address(folder: Path, image: str) -> str:
    """Where mmengine finds an image of :func:`images_by_class`."""
    archive = packed(folder)
    return str(folder / image) if archive is None else f"{_PREFIX}://{archive.as_posix()}/{image}"


def _in_folder(folder: Path) -> dict[str, list[str]]:
    found = {}
    with os.scandir(folder) as entries:
        kinds = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    for kind in kinds:
        images = []
        # Classes may have folders inside, as torchvision allows; symbolic links are followed, as there.
        for place, _, names in os.walk(folder / kind, followlinks=True):
            below = Path(place).relative_to(folder).as_posix()
            images += [f"{below}/{name}" for name in names if name.lower().endswith(EXTENSIONS)]
        found[kind] = sorted(images)
    return found


@register_backend("zip", prefixes=_PREFIX, force=True)
class _ZipBackend(BaseStorageBackend):
    """Reads the members of zip files by address: ``zip://PATH.zip/MEMBER``."""

    def __init__(self) -> None:
        self._opened: dict[tuple[int, str], zipfile.ZipFile] = {}

    def get(self, filepath: str | Path) -> bytes:
        """A member's content.

        Raises:
            FileNotFoundError: There is no such file, or no such member in it.
        """
        path, _, member = str(filepath).removeprefix(f"{_PREFIX}://").partition(".zip/")
        path += ".zip"
        # A worker process that shared the file with its parent would move the parent's place in it.
        key = (os.getpid(), path)
        if key not in self._opened:
            self._opened[key] = zipfile.ZipFile(path)
        try:
            return self._opened[key].read(member)
        except KeyError:
            raise FileNotFoundError(2, "no such member", str(filepath)) from None

    def get_text(self, filepath: str | Path, encoding: str = "utf-8") -> str:
        """The same, as text."""
        return self.get(filepath).decode(encoding)
