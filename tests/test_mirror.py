"""The tests mirror the package: each module has its test file, or is named in the one that tests it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import wrs_mm

TESTS = Path(__file__).parent
PACKAGE = Path(wrs_mm.__file__).parent

EXCEPTIONS: dict[str, str] = {}
"""Modules that no test file is named after and none names, and why."""

BESIDE = {"configs", "data", "helpers", "slurm", "tools"}
"""Folders of the tests that mirror no package."""


def modules(package: Path) -> dict[str, Path]:
    """The modules of a package by dotted name, with their paths in it; not the packages themselves."""
    paths = [path.relative_to(package) for path in sorted(package.rglob("*.py"))]
    return {
        ".".join((package.name, *path.with_suffix("").parts)): path
        for path in paths
        if path.stem not in ("__init__", "__main__")
    }


def named_in(docstring: str, package: str, folder: str) -> set[str]:
    """The modules that the docstring of a test file names, by dotted name.

    Args:
        docstring: As ``package.folder.module``, ``package/folder/module.py``, or, from the folder that the
            test's mirrors, ``module.py``.
        package: The package's name.
        folder: That folder in it, ``""`` for the package's own.
    """
    dotted = set(re.findall(rf"\b{package}(?:\.\w+)+", docstring))
    for path in re.findall(r"\b\w+(?:/\w+)*(?=\.py\b)", docstring):
        parts = path.split("/")
        if parts[0] != package:
            parts = [package, *(folder.split("/") if folder else []), *parts]
        dotted.add(".".join(parts))
    return dotted


def named_by_tests(tests: Path, package: str) -> dict[str, set[str]]:
    """The modules that the docstring of each test file names."""
    found = {}
    for path in sorted(tests.rglob("test_*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        file = path.relative_to(tests)
        folder = "" if file.parent == Path() else file.parent.as_posix()
        found[file.as_posix()] = named_in(docstring, package, folder)
    return found


def untested(package: Path, tests: Path) -> list[str]:
    """The modules of a package that have no test file in the mirrored place and are named in none."""
    named = set().union(*named_by_tests(tests, package.name).values())
    return [
        name
        for name, path in modules(package).items()
        if name not in named and not (tests / path.parent / f"test_{path.name}").exists()
    ]


def test_every_module_has_a_test_file_or_is_named_in_one() -> None:
    assert set(untested(PACKAGE, TESTS)) == set(EXCEPTIONS)


def test_every_folder_of_tests_is_one_of_the_package() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("*.py")}
    strange = [folder for folder in folders if not (PACKAGE / folder / "__init__.py").exists()]
    assert {folder.parts[0] for folder in strange} <= BESIDE


def test_a_module_without_a_test_is_found(tmp_path: Path) -> None:
    package, tests = tmp_path / "p", tmp_path / "tests"
    for file in ("__init__.py", "a.py", "b/__init__.py", "b/c.py", "b/d.py", "b/e.py", "b/f.py"):
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).touch()
    (tests / "b").mkdir(parents=True)
    (tests / "b" / "test_c.py").write_text('"""What p.b.d, p/b/e.py and f.py do."""')
    (tests / "test_c.py").write_text("# p.a")
    assert untested(package, tests) == ["p.a"]
