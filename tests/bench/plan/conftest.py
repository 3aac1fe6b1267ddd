"""Plans as files beside their recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_plans import SMALL
from small_recipe import write_recipe

from wrs_mm.bench.plan import checks


@pytest.fixture
def write_plan(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes a plan beside two recipes that nobody resolves, and returns its path."""
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text("default_scope = 'mmseg'\n")

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


@pytest.fixture
def write_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a plan beside the small recipe; what the recipes read is taken to exist."""
    monkeypatch.setattr(checks, "require_data", lambda config, split: None)
    write_recipe(tmp_path)

    def _write(extra: str = "", plan: str = SMALL) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_text(plan + extra, encoding="utf-8")
        return path

    return _write
