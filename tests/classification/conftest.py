from __future__ import annotations

from pathlib import Path

import pytest
from shapes import render_few


@pytest.fixture(scope="session")
def few_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mini-shapes with a handful of images; nobody writes to it."""
    return render_few(tmp_path_factory.mktemp("shapes"))
