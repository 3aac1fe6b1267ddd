"""What a run's weights did, as far as reports and packs go into it."""

from __future__ import annotations

from pathlib import Path

from wrs_mm.engine.hooks.dynamics_file import Dynamics, read, thinned

_MOST_REPORTS = 200
"""A plot shows no more, and of ResNet-50 in Faster R-CNN they take 0.6 MB."""


def run_dynamics(folder: Path) -> Dynamics | None:
    """What a run measured of its weights: 200 reports at most, evenly spaced.

    Args:
        folder: The run's.

    Returns:
        None where it measured nothing, or the file is damaged.
    """
    found = read(folder)
    return None if found is None else thinned(found, _MOST_REPORTS)
