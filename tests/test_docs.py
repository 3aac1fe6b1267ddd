"""What the documents say exists: names in pictures, files behind links, commands and their options."""

from __future__ import annotations

import contextlib
import importlib
import re
import shlex
from pathlib import Path

import pytest

from wrs_mm.cli.main import build_parser

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
BOX = re.compile(r'\["([^"]+)"\]')
"""A box of a Mermaid picture."""


def boxes(text: str) -> list[str]:
    """The labels of all boxes in a document's Mermaid pictures."""
    pictures = re.findall(r"```mermaid\n(.*?)```", text, re.S)
    return [label for picture in pictures for label in BOX.findall(picture)]


def missing_names(label: str) -> list[str]:
    """What a box names that does not exist.

    Args:
        label: Lines parted by ``<br/>``; the first is a file, of ours from ``wrs_mm/`` on or of an installed
            package, the others begin with names in it.
    """
    file, *names = re.split(r"<br/?>", label)
    module = file.removesuffix(".py").replace("/", ".")
    with contextlib.suppress(ImportError):
        found = importlib.import_module(module)
        return [name for name in names if not has(found, re.match(r"[\w.]+", name)[0])]
    return [file]


def has(owner: object, dotted: str) -> bool:
    """Whether an object has an attribute, through several dots."""
    for name in dotted.split("."):
        if not hasattr(owner, name):
            return False
        owner = getattr(owner, name)
    return True


def test_the_names_in_the_pictures_exist() -> None:
    labels = boxes((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert len(labels) > 10
    assert [name for label in labels for name in missing_names(label)] == []


def test_a_name_that_does_not_exist_is_found() -> None:
    picture = '```mermaid\na["wrs_mm/errors.py<br/>UsageError<br/>NoSuchError"] --> b["wrs_mm/gone.py"]\n```'
    missing = [name for label in boxes(picture) for name in missing_names(label)]
    assert missing == ["NoSuchError", "wrs_mm/gone.py"]


def anchors(document: Path) -> set[str]:
    """The anchors that a page of Markdown has on a host such as GitHub."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def commands(document: Path) -> list[str]:
    """The calls of ``wrs-mm`` in a document's code blocks."""
    text = document.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)).replace("\\\n", " ")
    lines = [re.split(r" [#>] ", line)[0].strip() for line in blocks.splitlines()]
    return [line for line in lines if re.match(r"(\.venv/bin/)?wrs-mm [a-z]", line)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_are_ones_that_the_program_takes(document: Path) -> None:
    for line in commands(document):
        words = shlex.split(line.replace("…", "X=1"))[1:]
        # Placeholders such as N stand for numbers.
        words = ["1" if word == "N" else word for word in words]
        build_parser(words[0]).parse_args(words)
