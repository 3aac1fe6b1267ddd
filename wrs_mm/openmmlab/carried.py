"""What the package carries beside its code: recipes, plans and scripts.

A wheel has them in ``wrs_mm/.mim``, where OpenMMLab's tools look for such things; a checkout has them beside
the package.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Literal

SCOPE = "wrs_mm"
"""What our configs are called by from outside: ``wrs_mm::coco/….py``."""

_PACKAGE = Path(__file__).resolve().parents[1]


def carried(what: Literal["configs", "tools"]) -> Path:
    """The folder of recipes and plans, or of scripts."""
    mim = _PACKAGE / ".mim"
    return (mim if mim.is_dir() else _PACKAGE.parent) / what


def find_carried(name: str | Path, ending: str) -> Path | None:
    """Find a recipe or a plan by its name, whatever folder this is called from.

    Args:
        name: Its path below ``configs/``, with or without that and its ending.
        ending: The ending that may be left out, with its dot.

    Returns:
        The file; None where there is none.
    """
    relative = PurePath(str(name).removeprefix("configs/"))
    if relative.is_absolute() or ".." in relative.parts:
        return None
    path = carried("configs") / relative
    for candidate in (path, path.with_name(path.name + ending)):
        if candidate.is_file() and candidate.suffix == ending:
            return candidate
    return None


def carried_recipes() -> list[str]:
    """The names of all recipes and their arms, as plans list them."""
    root = carried("configs")
    return sorted(
        path.relative_to(root).with_suffix("").as_posix()
        for path in root.glob("*/*.py")
        if path.parent.name != "_base_"
    )


def inheritable(source: str | Path) -> str:
    """What a config in any folder names as its base for the config that ``source`` is here.

    Args:
        source: A path, ``mmdet::…``, or the name of a recipe, which becomes ``wrs_mm::…``.
    """
    if "::" in str(source) or Path(source).is_file():
        return str(source)
    path = find_carried(source, ".py")
    return f"{SCOPE}::{path.relative_to(carried('configs')).as_posix()}" if path else str(source)
