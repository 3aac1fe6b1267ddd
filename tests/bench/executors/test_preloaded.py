"""What the process that runs are forked from imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from wrs_mm.bench.executors.preloaded import MODULES
from wrs_mm.bench.runs import training


@pytest.mark.slow
def test_everything_is_imported_and_no_thread_that_a_fork_would_lose_is_started() -> None:
    code = (
        "import sys, threading\nfrom wrs_mm.bench.executors.preloaded import MODULES\n"
        "print([name for name in MODULES if name not in sys.modules], threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] 1\n"


def test_what_a_training_imports_of_ours_when_it_begins_is_among_it() -> None:
    tree = ast.parse(Path(training.__file__).read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    imports = [node for part in functions for node in ast.walk(part) if isinstance(node, ast.ImportFrom)]
    ours = {node.module for node in imports if str(node.module).startswith("wrs_mm")}
    assert ours
    assert ours <= set(MODULES)
