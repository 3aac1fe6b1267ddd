"""The norm of each layer's filters over a training, arm by arm: what weight decay does to layers.

docs/why.md has the figure that comes out of::

    wrs-mm bench unpack docs/reports/why_per_filter.pack.tar.xz --work-dir work_dirs/why_per_filter
    python tools/why/layers.py work_dirs/why_per_filter docs/img/why_layers.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pictures import arm_of, picture_of_study, pyplot, save

from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import read_benchmark
from wrs_mm.engine.hooks.dynamics_file import Dynamics, read
from wrs_mm.errors import PlanError


def watched(path: Path) -> dict[str, dict[str, Dynamics]]:
    """By recipe and arm, the dynamics of the first seed's run.

    Args:
        path: A work dir of a plan with ``dynamics``.

    Raises:
        PlanError: It is no work dir, or no run of it has been watched.
    """
    work_dir = WorkDir(path)
    found: dict[str, dict[str, Dynamics]] = {}
    for run in read_benchmark(work_dir).runs:
        dynamics = read(work_dir.run(run.spec).folder)
        if dynamics is not None:
            found.setdefault(run.spec.recipe, {}).setdefault(arm_of(run.spec), dynamics)
    if not found:
        raise PlanError(f"no run of {path} has been watched: its plan needs `dynamics`")
    return found


def spread(dynamics: Dynamics) -> float:
    """How many times the norm of the layer with the smallest the largest is in the end."""
    last = dynamics.of("norm")[-1]
    return float(last.max() / last.min())


def draw(work_dir: Path, picture: Path) -> list[str]:
    """A row for each recipe, a column for each arm, a line for each layer.

    Args:
        work_dir: As in :func:`watched`.
        picture: The file to write.

    Returns:
        A table of how far layers are apart in the end.
    """
    found = watched(work_dir)
    plt = pyplot("layers", font_size=9)
    columns = max(map(len, found.values()))
    size = (2.3 * columns, 2.3 * len(found))
    figure, axes = plt.subplots(
        len(found), columns, figsize=size, sharex="row", sharey="row", squeeze=False, layout="constrained"
    )
    lines = ["| recipe | arm | largest by smallest norm of a layer in the end |", "|---|---|--:|"]
    for row, (recipe, arms) in zip(axes, found.items(), strict=True):
        for place, (arm, dynamics) in zip(row, arms.items(), strict=False):
            norms = dynamics.of("norm")
            colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, norms.shape[1]))
            for layer, color in zip(norms.T, colors, strict=True):
                place.plot(dynamics.iterations, layer, color=color, linewidth=0.8)
            apart = f"{spread(dynamics):.1f}"
            place.set(yscale="log", title=f"{arm}\n× {apart} in the end")
            lines.append(f"| {recipe} | {arm} | {apart} |")
        row[0].set(ylabel=f"{recipe.split('/')[-1].split('_')[0]}\nmean norm of a layer's filters")
    for place in axes[-1]:
        place.set(xlabel="iteration")
    save(figure, picture)
    return lines


if __name__ == "__main__":
    sys.exit(picture_of_study("layers", __doc__, draw))
