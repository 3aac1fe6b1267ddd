"""``wrs-mm bench baselines``: the reference tables, printed or put into a document.

A document says where by comments: the table «published» stands between ``<!-- published -->`` and
``<!-- /published -->``, the table «gpu-hours» likewise. What is between them is replaced.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from wrs_mm.bench.published import baselines, gpu_hours
from wrs_mm.errors import OptionError
from wrs_mm.files import write_text


def show_baselines(work_dirs: Sequence[Path] = (), into: Path | None = None) -> int:
    """Print the reference tables, or put them into a document.

    Args:
        work_dirs: Benchmarks whose results fill our cells.
        into: The document; None prints.

    Raises:
        OptionError: The document cannot be read or has no place for a table.
        PlanError: A work dir has no results.
    """
    # mmengine warns of pkg_resources at each config that it reads.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    tables: dict[str, Callable[[], str]] = {
        "published": lambda: baselines.table(work_dirs),
        "gpu-hours": gpu_hours.table,
    }
    if into is None:
        for make in tables.values():
            print(make(), end="\n\n")
        return 0
    try:
        text = into.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--into {into}: cannot be read ({error}); give a Markdown file") from None
    places = [name for name in tables if read_section(text, name) is not None]
    if not places:
        marks = " or ".join(f"<!-- {name} --><!-- /{name} -->" for name in tables)
        raise OptionError(f"--into {into}: no place for a table; write {marks} where one belongs")
    for name in places:
        text = _fill_section(text, name, tables[name]())
    write_text(into, text)
    print(f"{into}: {', '.join(places)}")
    return 0


def read_section(text: str, name: str) -> str | None:
    """What a document has between the comments of a name, stripped; None if it lacks them."""
    found = re.search(_pattern(name), text, re.DOTALL)
    return found.group(2).strip() if found else None


def _fill_section(text: str, name: str, content: str) -> str:
    """Replace what a document has between the comments of a name."""
    return re.sub(_pattern(name), lambda match: f"{match[1]}\n{content}\n{match[3]}", text, flags=re.DOTALL)


def _pattern(name: str) -> str:
    return f"(<!-- {name} -->)(.*?)(<!-- /{name} -->)"
