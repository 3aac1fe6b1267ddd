"""Imports point one way, without circles and private names, and importing the package stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import wrs_mm

PACKAGE = Path(wrs_mm.__file__).parent

BASE = {"borrowed", "errors", "files", "values", "terminal", "__version__"}
"""What every part may import; itself it imports nothing of the package."""

MAY_IMPORT: dict[str, set[str]] = {
    "rescaling": set(),
    "openmmlab": set(),
    "datasets": {"classification", "openmmlab"},
    "classification": set(),
    "audit": {"rescaling", "openmmlab"},
    "curvature": {"rescaling"},
    "features": set(),
    "engine": {"rescaling", "curvature", "features"},
    "layers": {"rescaling", "openmmlab"},
    "regularizers": {"engine", "layers", "rescaling"},
    "probe": {"regularizers", "engine", "layers", "audit", "features", "rescaling", "openmmlab", "datasets"},
    "bench": {"regularizers", "engine", "layers", "rescaling", "openmmlab", "datasets", "classification"},
    "cli": {
        "bench",
        "probe",
        "regularizers",
        "engine",
        "layers",
        "rescaling",
        "audit",
        "openmmlab",
        "datasets",
        "rescale_checkpoint",
    },
    "rescale_checkpoint": {"engine", "rescaling", "openmmlab"},
    # Whoever imports the package has everything registered.
    "__init__": {"classification", "engine", "layers", "openmmlab"},
    "borrowed": set(),
    "errors": set(),
    "files": set(),
    "values": set(),
    "terminal": set(),
}
"""Which parts of wrs_mm each part may import, beside itself and BASE: all that are below it."""

MAY_IMPORT_IN_BENCH: dict[str, set[str]] = {
    "plan": set(),
    "runs": {"plan"},
    "executors": {"runs", "plan"},
    "statistics": {"runs", "plan"},
    "published": {"statistics", "runs", "plan"},
    "report": {"statistics", "runs", "plan"},
    "packs": {"statistics", "runs", "plan"},
    # The runs of a plan in a work dir, as far as they are known.
    "study": {"statistics", "runs", "plan"},
    # What the command does, a function for each verb.
    "commands": {"study", "report", "published", "statistics", "executors", "runs", "plan"},
    "__init__": set(),
}
"""The same inside wrs_mm.bench."""

SHARED_BETWEEN = {"wrs_mm.__version__"}
"""Names with a leading underscore that are public."""


class Import(NamedTuple):
    """A name that a file imports."""

    line: int
    module: str
    name: str | None
    """What is taken from the module, if not the module itself."""
    at_top: bool
    """Whether it happens when the file is imported."""

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


def imports(tree: ast.AST, at_top: bool = True) -> Iterator[Import]:
    """All that a file imports; a relative import's module begins with its dots."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, None, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (Import(node.lineno, module, alias.name, at_top) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imports(node, False)
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, at_top and not inside)


def files(folder: Path) -> Iterator[tuple[str, tuple[str, ...], list[Import]]]:
    """Each file of a package: its name for messages, its parts (packages, module), its imports."""
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(folder)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield str(relative), (*relative.parts[:-1], relative.stem), list(imports(tree))


def violations(folder: Path, package: str, may_import: dict[str, set[str]], base: set[str]) -> list[str]:
    """What in a package breaks the rules: relative imports, parts without a line, imports that point up.

    Args:
        folder: Where the package's files are.
        package: Its dotted name.
        may_import: What each of its parts may import, beside itself.
        base: What all of them may import.
    """
    found = []
    for file, parts, imported in files(folder):
        part = parts[0]
        if part not in may_import:
            found.append(f"{file}: {part} has no line in the table")
            continue
        for entry in imported:
            if entry.module.startswith("."):
                found.append(f"{file}:{entry.line}: relative import of {entry.dotted}")
            elif entry.dotted.startswith(f"{package}."):
                target = entry.dotted.removeprefix(f"{package}.").split(".")[0]
                # A part that is a file of the base stands below everything.
                allowed = may_import[part] | {part} | (set() if part in base else base)
                if target not in allowed:
                    found.append(f"{file}:{entry.line}: imports {entry.dotted}")
    return found


def private_imports(folder: Path, package: str) -> list[str]:
    """Where a file imports a private name of the package: another file's, or a module of another folder.

    Args:
        folder: Where the files are, the package's or those of its tests.
        package: Its dotted name.
    """
    found = []
    for file, parts, imported in files(folder):
        own = ".".join((package, *parts[:-1]))
        for entry in imported:
            if not f"{entry.module}.".startswith(f"{package}.") or entry.dotted in SHARED_BETWEEN:
                continue
            inside, _, module = entry.module.rpartition(".")
            hidden = module.startswith("_") and inside != own
            if hidden or (entry.name or "").startswith("_"):
                found.append(f"{file}:{entry.line}: imports {entry.dotted}")
    return found


def needlessly_public(folder: Path, users: Iterable[Path]) -> list[str]:
    """Public names at the top of a file that no other file mentions, nor anything public of its own.

    Args:
        folder: Where the package's files are.
        users: All files that may use them.
    """
    words = {path: set(re.findall(r"\w+", path.read_text(encoding="utf-8"))) for path in users}
    count = Counter(word for found in words.values() for word in found)
    found = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        # What a public signature has as a type, or a docstring refers to, is public along with it.
        own = set(re.findall(r":\w+:`(\w+)`", text))
        for node in ast.walk(tree):
            types: list[ast.expr | None] = [node.annotation] if isinstance(node, ast.AnnAssign) else []
            if isinstance(node, ast.FunctionDef) and not re.match("_[^_]", node.name):
                types = [node.returns, *(getattr(part, "annotation", None) for part in ast.walk(node.args))]
            own.update(word for one in types if one for word in re.findall(r"\w+", ast.unparse(one)))
        for node in tree.body:
            for target in node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]:
                name = getattr(target, "id", getattr(target, "name", "_"))
                elsewhere = count[name] - (name in words.get(path, ()))
                if not (name.startswith("_") or elsewhere or name in own):
                    found.append(f"{path.relative_to(folder)}:{node.lineno}: {name}")
    return found


def circle(arrows: dict[str, set[str]]) -> list[str] | None:
    """A way along arrows that comes back to where it began, if there is one."""

    def follow(node: str, way: list[str]) -> list[str] | None:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return None
        for target in sorted(arrows.get(node, ())):
            if found := follow(target, [*way, node]):
                return found
        done.add(node)
        return None

    done: set[str] = set()
    return next((found for node in sorted(arrows) if (found := follow(node, []))), None)


def module_arrows(folder: Path, package: str) -> dict[str, set[str]]:
    """Which modules each module of a package imports while it is imported itself."""
    modules: dict[str, list[Import]] = {}
    for _, parts, imported in files(folder):
        name = ".".join((package, *parts)).removesuffix(".__init__")
        modules[name] = [entry for entry in imported if entry.at_top]
    # What is taken from a package may be one of its modules.
    needed = {
        name: {entry.dotted if entry.dotted in modules else entry.module for entry in imported}
        for name, imported in modules.items()
    }
    return {name: (targets & modules.keys()) - {name} for name, targets in needed.items()}


def package_arrows(folder: Path, package: str) -> dict[str, set[str]]:
    """Which parts of a package each part imports while it is imported itself."""
    arrows: dict[str, set[str]] = {}
    for _, parts, imported in files(folder):
        for entry in imported:
            if entry.at_top and entry.dotted.startswith(f"{package}."):
                target = entry.dotted.removeprefix(f"{package}.").split(".")[0]
                if target != parts[0]:
                    arrows.setdefault(parts[0], set()).add(target)
    return arrows


def test_imports_point_one_way() -> None:
    assert violations(PACKAGE, "wrs_mm", MAY_IMPORT, BASE) == []
    assert violations(PACKAGE / "bench", "wrs_mm.bench", MAY_IMPORT_IN_BENCH, set()) == []


def test_no_private_name_is_imported_by_another_file() -> None:
    assert private_imports(PACKAGE, "wrs_mm") == []
    tests = Path(__file__).parent
    assert private_imports(tests, "wrs_mm") == []


def test_a_public_name_is_used_elsewhere() -> None:
    root = PACKAGE.parent
    users = [path for part in ("wrs_mm", "tests", "tools", "configs") for path in (root / part).rglob("*.py")]
    assert needlessly_public(PACKAGE, users) == []


def test_there_are_no_circles() -> None:
    assert circle(module_arrows(PACKAGE, "wrs_mm")) is None
    assert circle(package_arrows(PACKAGE, "wrs_mm")) is None
    assert circle(package_arrows(PACKAGE / "bench", "wrs_mm.bench")) is None
    assert circle(MAY_IMPORT) is None
    assert circle(MAY_IMPORT_IN_BENCH) is None


def test_the_method_imports_torch_and_nothing_else() -> None:
    ours = ("wrs_mm.rescaling", "wrs_mm.errors", "wrs_mm.values")
    for file, _, imported in files(PACKAGE / "rescaling"):
        for entry in imported:
            root = entry.module.split(".")[0]
            allowed = root == "torch" or root in sys.stdlib_module_names or entry.dotted.startswith(ours)
            assert allowed, f"{file}: {entry.dotted}"


def test_importing_the_package_imports_neither_toolbox() -> None:
    heavy = ("mmdet", "mmseg", "pandas", "torchvision")
    code = f"import sys, wrs_mm; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the checks see what they are there for ------------------------------------------------------


def plant(folder: Path, **texts: str) -> Path:
    """A package ``p`` with one file for each text; ``__`` stands for a slash."""
    for name, text in texts.items():
        path = folder / "p" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "p"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from ..upper.x import y", "lower/a.py:1: relative import of ..upper.x.y"),
        ("from . import b", "lower/a.py:1: relative import of ..b"),
        ("from p.upper import x", "lower/a.py:1: imports p.upper.x"),
        ("from p import upper", "lower/a.py:1: imports p.upper"),
        ("import p.upper.x as y", "lower/a.py:1: imports p.upper.x"),
        ("def f():\n    from p.upper import x", "lower/a.py:2: imports p.upper.x"),
        ("if TYPE_CHECKING:\n    from p.upper import x", "lower/a.py:2: imports p.upper.x"),
        ("import torch\nfrom p.lower import b\nfrom p.base import c", None),
    ],
)
def test_an_import_that_points_up_is_found(text: str, said: str | None, tmp_path: Path) -> None:
    folder = plant(tmp_path, lower__a=text, upper__x="from p.lower import a", base="import os")
    table: dict[str, set[str]] = {"lower": set(), "upper": {"lower"}, "base": set()}
    assert violations(folder, "p", table, {"base"}) == ([said] if said else [])


def test_a_package_without_a_line_is_found(tmp_path: Path) -> None:
    folder = plant(tmp_path, lower__a="", new__x="from p.lower import a", base="from p.lower import a")
    found = violations(folder, "p", {"lower": set(), "base": set()}, {"base"})
    assert found == ["base.py:1: imports p.lower.a", "new/x.py: new has no line in the table"]


def test_a_private_name_of_another_file_is_found(tmp_path: Path) -> None:
    text = "from p.b import _c, d\nfrom p import _e\nfrom q import _f\nfrom p.b._g import h"
    folder = plant(tmp_path, a=text, b__i="from p.b._g import h")
    assert private_imports(folder, "p") == [
        "a.py:1: imports p.b._c",
        "a.py:2: imports p._e",
        "a.py:4: imports p.b._g.h",
    ]


def test_a_public_name_that_nobody_else_uses_is_found(tmp_path: Path) -> None:
    text = """
class Shown: "Has :data:`B`."
A = B = _C = 1
def f(one: Shown) -> None: ...
def _g(one: Hidden) -> None: ...
class Hidden: ...
def used(): ...
"""
    folder = plant(tmp_path, a=text, b="from p.a import used")
    assert needlessly_public(folder, folder.rglob("*.py")) == ["a.py:3: A", "a.py:4: f", "a.py:6: Hidden"]


def test_a_circle_is_found_and_an_import_inside_a_function_closes_none(tmp_path: Path) -> None:
    folder = plant(tmp_path, a__x="from p.b import y", b__y="from p.a.x import z", b____init__="")
    assert circle(module_arrows(folder, "p")) == ["p.a.x", "p.b.y", "p.a.x"]
    assert circle(package_arrows(folder, "p")) == ["a", "b", "a"]
    (folder / "b" / "y.py").write_text("def f():\n    from p.a.x import z")
    assert circle(module_arrows(folder, "p")) is None
    assert circle(package_arrows(folder, "p")) is None
