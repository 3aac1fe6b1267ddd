"""Small data sets: rendered from a seed, or cut from images that come with Python packages."""

from __future__ import annotations

from .layout import require_dataset
from .mini import render_mini
from .real import fetch_real
from .standin import render_standins

__all__ = ["fetch_real", "render_mini", "render_standins", "require_dataset"]
