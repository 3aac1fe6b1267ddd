"""Imports point one way, and importing the package stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import wrs_mm

PACKAGE = Path(wrs_mm.__file__).parent
MAY_IMPORT = {
    "rescaling": set(),
    "openmmlab": set(),
    "datasets": {"openmmlab"},
    "engine": {"rescaling"},
    "regularizers": {"engine", "rescaling"},
    "bench": {"regularizers", "engine", "rescaling", "openmmlab", "datasets"},
}
"""Which parts of the package each part may import, beside itself and wrs_mm.errors."""


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_point_one_way(part: str) -> None:
    allowed = MAY_IMPORT[part] | {part, "errors", "files", "values", "__version__"}
    for path in (PACKAGE / part).rglob("*.py"):
        for name in imported(path):
            if name.startswith("wrs_mm."):
                assert name.split(".")[1] in allowed, f"{path.name} imports {name}"


def test_the_method_imports_torch_and_nothing_else() -> None:
    for path in (PACKAGE / "rescaling").rglob("*.py"):
        for name in imported(path):
            root = name.split(".")[0]
            assert root in ("torch", "wrs_mm") or root in sys.stdlib_module_names, f"{path.name}: {name}"


def test_importing_the_package_imports_neither_toolbox() -> None:
    heavy = ("mmdet", "mmseg", "pandas", "torchvision")
    code = f"import sys, wrs_mm; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
