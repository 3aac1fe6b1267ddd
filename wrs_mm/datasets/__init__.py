"""Small data sets: rendered from a seed, or cut from images that come with Python packages."""

from __future__ import annotations

from wrs_mm.datasets.layout import require_dataset
from wrs_mm.datasets.mini import render_fresh, render_mini, render_shapes
from wrs_mm.datasets.real import fetch_real
from wrs_mm.datasets.standin import render_standins

__all__ = ["fetch_real", "render_fresh", "render_mini", "render_shapes", "render_standins", "require_dataset"]
