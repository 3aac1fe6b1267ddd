"""A tar file compressed by xz: the same bytes for the same content, read without trusting it.

Entries have no time, no owner and the rights of any file; they stand in the order in which they are given.
"""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from wrs_mm.errors import PlanError
from wrs_mm.files import open_atomically


def write_archive(path: Path, entries: Iterable[tuple[str, bytes]]) -> None:
    """Write the file, whole or not at all.

    Args:
        path: The file; its folder exists.
        entries: Names, with slashes, and contents.
    """
    with (
        open_atomically(path, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w:xz", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents, one after the other; nothing is written.

    The checksums are those of the whole file: only who reads to the end knows that it is not damaged.

    Raises:
        PlanError: There is no such file, it is no such archive or damaged, or it holds anything but plain
            files below its own folder.
    """
    try:
        with lzma.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for entry in archive:
                    if not (entry.isreg() and _is_below(entry.name)):
                        raise PlanError(f"{path} is no pack of wrs-mm: it holds {entry.name!r}")
                    content = archive.extractfile(entry)
                    assert content is not None, "a plain file has content"
                    yield entry.name, content.read()
            # What is left is zeros, but with it come the checksums.
            while stream.read(1 << 20):
                pass
    except (lzma.LZMAError, tarfile.TarError, EOFError) as error:
        raise PlanError(f"{path} is damaged, or no pack of wrs-mm ({error})") from None
    except (FileNotFoundError, IsADirectoryError):
        raise PlanError(f"{path} is no file; give one that `wrs-mm bench pack` wrote") from None


def _is_below(name: str) -> bool:
    """Whether a name can only be that of a file below the folder that it is put in."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts and "\\" not in name
