"""mini-shapes with a handful of images, and a classifier as small as one can be that trains on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.datasets import mini_shapes, render_shapes

COUNTS = {"train": 40, "val": 20, "test": 20}
"""Images of each split: two of each class to train on, one to measure."""

RECIPE = """
_base_ = {base!r}
data_root = {root!r}
model = dict(backbone=dict(base_channels=4), in_channels=32)
train_dataloader = dict(batch_size=10, dataset=dict(data_root=data_root))
val_dataloader = dict(batch_size=10, dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = []
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=2))
"""

BASE = Path(__file__).resolve().parents[2] / "configs" / "pretrain" / "resnet18-narrow_mini-shapes.py"


def render_few(root: Path) -> Path:
    """Render the set below ``root`` with few images; returns its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_shapes, "SPLITS", COUNTS)
        [folder] = render_shapes(root)
    return folder


def write_tiny_recipe(path: Path, data: Path, extra: str = "") -> Path:
    """Write a recipe of two epochs of four updates that reads the set in ``data``."""
    path.write_text(RECIPE.format(base=str(BASE), root=f"{data}/") + extra, encoding="utf-8")
    return path
