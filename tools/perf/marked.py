"""The part of a page that a script writes: between ``<!-- name -->`` and ``<!-- /name -->``."""

from __future__ import annotations

import re
from pathlib import Path

from wrs_mm.files import write_text


def write_marked(page: Path, name: str, text: str) -> None:
    """Put a text into its place in a page.

    Raises:
        SystemExit: Where the page has no such place.
    """
    before = page.read_text(encoding="utf-8")
    between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
    if not between.search(before):
        raise SystemExit(f"{page} has no place for it: <!-- {name} --> and <!-- /{name} -->")
    write_text(page, between.sub(lambda found: f"{found[1]}{text}\n{found[2]}", before))
