from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.datasets import mini_detection, mini_segmentation, render_mini


@pytest.fixture
def tiny_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render a handful of images instead of hundreds."""
    monkeypatch.setattr(mini_detection, "SPLITS", {"train2017": 4, "val2017": 3, "test2017": 2})
    cities = {"train": {"a": 2, "b": 1}, "val": {"c": 2}, "test": {"d": 1}}
    monkeypatch.setattr(mini_segmentation, "CITIES", cities)


@pytest.fixture
def tiny_mini(tmp_path: Path, tiny_counts: None) -> Path:
    """A folder that holds both rendered sets, with a handful of images each."""
    render_mini(tmp_path)
    return tmp_path
