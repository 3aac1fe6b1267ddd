"""What pyproject.toml says is so: the packages that are needed, and the Python that is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]

INSTALLED = packages_distributions()
"""The distributions that have a top-level package, by its name."""

EXTRAS = {
    "slurm": ("bench/executors/slurm.py",),
    "report": ("bench/report/",),
    "timm": ("engine/projected.py",),
    "lite": ("layers/", "classification/"),
}
"""Where in the package an extra's distributions may be imported; mmcv-lite's mmcv may be the compiled one."""


IN_HAND = {"openmmlab/synthetic_batch.py": {"mmpretrain"}}
"""What a file imports only where it was given an object of it."""


def normalized(requirement: str) -> str:
    """The name of a distribution in a requirement, as package indexes compare it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def third_party(text: str) -> set[str]:
    """The top-level packages that a file imports anywhere, beside Python's own and ours."""
    roots = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            roots.add(node.module.split(".")[0])
    return roots - sys.stdlib_module_names - {"wrs_mm"}


def undeclared(file: str, text: str) -> set[str]:
    """Which imports of a file (its path in the package) nothing in pyproject.toml declares for it."""
    declared = {normalized(entry) for entry in PROJECT["dependencies"]}
    for extra, places in EXTRAS.items():
        if file.startswith(places):
            declared |= {normalized(entry) for entry in PROJECT["optional-dependencies"][extra]}
    return {
        root
        for root in third_party(text)
        if not {normalized(name) for name in INSTALLED.get(root, [root])} & declared
    }


def test_every_import_is_a_declared_dependency() -> None:
    found = {}
    for path in (ROOT / "wrs_mm").rglob("*.py"):
        file = path.relative_to(ROOT / "wrs_mm").as_posix()
        if missing := undeclared(file, path.read_text(encoding="utf-8")) - IN_HAND.get(file, set()):
            found[file] = missing
    assert found == {}


def test_an_import_that_is_not_declared_is_found() -> None:
    text = "import os, torch\nfrom scipy import stats\ndef f():\n    import psutil\n    import plotly.io\n"
    assert undeclared("bench/statistics/x.py", text) == {"psutil", "plotly"}
    assert undeclared("bench/report/x.py", text) == {"psutil"}


# --- which Python --------------------------------------------------------------------------------

PYTHON = PROJECT["requires-python"].removeprefix(">=")


def test_which_python_is_needed_is_said_once_and_the_same_everywhere() -> None:
    assert re.fullmatch(r"3\.\d+", PYTHON)
    classifiers = [line for line in PROJECT["classifiers"] if "Python :: 3." in line]
    assert classifiers[0] == f"Programming Language :: Python :: {PYTHON}"
    # ruff takes it from requires-python.
    assert "target-version" not in PYPROJECT["tool"]["ruff"]
    assert PYPROJECT["tool"]["mypy"]["python_version"] == PYTHON
    for file in ("README.md", "docs/reproduce.md", "constraints.txt", ".ci/run", "tools/setup.sh"):
        said = set(re.findall(r"[Pp]ython ?(3\.\d+)", (ROOT / file).read_text(encoding="utf-8")))
        # setup.sh reads it, and its example names a newer one.
        assert said == ({"3.12"} if file == "tools/setup.sh" else {PYTHON}), file


def test_setup_refuses_a_python_that_is_too_old(tmp_path: Path) -> None:
    for name in ("tools/setup.sh", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    older = tmp_path / "python-older"
    major, minor = PYTHON.split(".")
    # A Python of today that says of itself to be older.
    older.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = ({major}, {int(minor) - 1}); '
        'exec(sys.argv[2])" "$@"\n'
    )
    older.chmod(0o755)
    done = subprocess.run(
        ["bash", "tools/setup.sh"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(older)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"setup: Python {PYTHON} ")
    assert not (tmp_path / ".venv").exists()
