"""A script of tools/ as a module, without running it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def load_script(path: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """Load a script that finds those beside it, as Python does when it is called.

    Args:
        path: Of the script.
        patch: Takes its folder from the path again.
    """
    patch.syspath_prepend(path.parent)
    beside = {file.stem for file in path.parent.glob("*.py")} - {path.stem}
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Another test may load another folder's script with a neighbour of the same name.
    for name in beside & set(sys.modules):
        del sys.modules[name]
    return module
