"""The part of a page that a script writes: between ``<!-- name -->`` and ``<!-- /name -->``."""

from __future__ import annotations

import re
from pathlib import Path

from wrs_mm.files import write_text


def place(name: str) -> re.Pattern[str]:
    """The place of a name in a page, with its marks as groups."""
    return re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)


def write_marked(page: Path, name: str, text: str) -> bool:
    """Put a text into its place in a page; False where there is no page, or no such place in it."""
    before = page.read_text(encoding="utf-8") if page.exists() else ""
    if not place(name).search(before):
        return False
    write_text(page, place(name).sub(lambda found: f"{found[1]}{text}\n{found[2]}", before))
    return True


def require_place(page: Path | None, name: str) -> None:
    """Check, before anything is measured, that a page that is given has the place.

    Raises:
        SystemExit: It has not.
    """
    text = page.read_text(encoding="utf-8") if page is not None and page.exists() else ""
    if page is not None and not place(name).search(text):
        raise SystemExit(f"{page} has no place for it: <!-- {name} --> and <!-- /{name} -->")


def print_or_write(text: str, page: Path | None, name: str) -> None:
    """Put a text into its place in a page, or print it where none is given."""
    if page is None:
        print(text)
    else:
        write_marked(page, name, text)
