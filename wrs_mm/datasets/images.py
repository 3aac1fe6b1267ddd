"""Looking at image files: which are there, which are empty, and do some of them decode."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Files(NamedTuple):
    """The files of a folder.

    Attributes:
        names: Their names.
        empty: Those of them that hold nothing, sorted.
    """

    names: set[str]
    empty: list[str]


def list_files(folder: Path, suffix: str) -> Files:
    """The files of a folder whose names end with ``suffix``, without its subfolders."""
    names, empty = set(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix) and entry.is_file():
                names.add(entry.name)
                if entry.stat().st_size == 0:
                    empty.append(entry.name)
    return Files(names, sorted(empty))


def sample(names: Iterable[str], count: int, seed: int) -> list[str]:
    """``count`` of the names, or all if there are fewer: the same for the same seed, sorted."""
    listed = sorted(names)
    return sorted(random.Random(seed).sample(listed, min(count, len(listed))))


def decode(path: Path) -> NDArray[np.uint8]:
    """Read a whole image file.

    PIL reads, because it refuses a truncated file, where OpenCV fills what is missing with gray.

    Returns:
        Its values, shape (height, width) or (height, width, channels).

    Raises:
        OSError: The file is missing, truncated, or not an image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # PIL reports some damages of PNG files as these.
        raise OSError(str(error)) from error


def some(names: Sequence[str], most: int = 3) -> str:
    """A list of names for a person: the first few of them."""
    shown = ", ".join(names[:most])
    return f"{shown}, …" if len(names) > most else shown
