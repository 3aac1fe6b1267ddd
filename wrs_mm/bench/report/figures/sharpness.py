"""Sharpness over training, beside the edge of stability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wrs_mm.bench.report.figures.base import Figure, Mark, faint, marks, text
from wrs_mm.bench.report.figures.lines import Line, line_figure, line_trace
from wrs_mm.bench.statistics.benchmark import RunData, by_arm
from wrs_mm.bench.statistics.curves import Curve, curve_over_seeds
from wrs_mm.bench.statistics.sharpness import SPACES, Space, series


def sharpness_figure(title: str, runs: Sequence[RunData], palette: Mapping[str, str]) -> Figure | None:
    """A panel for all parameters and one for the sphere; None where nothing is known.

    Args:
        title: What is drawn.
        runs: Of one scenario, that have measured their sharpness.
        palette: A color by arm.
    """
    looks, arms = marks(palette), by_arm(runs)
    lines = {
        space.name: {"": [line for arm, own in arms.items() for line in _lines(looks[arm], own, space)]}
        for space in SPACES
    }
    return line_figure(title, [""], lines)


def _lines(mark: Mark, runs: Sequence[RunData], space: Space) -> list[Line]:
    """Those of an arm: its seeds, their mean, and the edge of stability."""
    arm = runs[0].spec.arm_label
    seeds = [series(run, space.sharpness) for run in runs]
    edge = curve_over_seeds(series(run, space.edge) for run in runs)
    made = [Line(curve_over_seeds([one]), _seed(arm, mark)) for one in seeds if len(seeds) > 1]
    made += [Line(curve_over_seeds(seeds), _mean(arm, mark)), Line(edge, _edge(arm, mark))]
    return [line for line in made if line.curve.steps]


def _mean(arm: str, mark: Mark) -> Callable[[Curve], list[Any]]:
    points = {"color": mark.color, "symbol": mark.symbol, "size": 7, "maxdisplayed": 12}
    # Dashes are the edges': arms are told apart by symbols.
    style = {"mode": "lines+markers", "line": {"color": mark.color, "width": 2}, "marker": points}
    return lambda curve: [line_trace(arm, curve, **style)]


def _seed(arm: str, mark: Mark) -> Callable[[Curve], list[Any]]:
    line = {"color": faint(mark.color, 0.45), "width": 1}
    unnamed = {"showlegend": False, "hoverinfo": "skip", "hovertemplate": None}
    return lambda curve: [line_trace(arm, curve, mode="lines", line=line, **unnamed)]


def _edge(arm: str, mark: Mark) -> Callable[[Curve], list[Any]]:
    points = {"color": mark.color, "symbol": f"{mark.symbol}-open", "size": 6, "maxdisplayed": 6}
    line = {"color": mark.color, "width": 1, "dash": "dash"}
    # The legend has room for arms, and says of each what its symbol is.
    style = {"mode": "lines+markers", "line": line, "marker": points, "showlegend": False}
    return lambda curve: [line_trace(arm, curve, **style, name=f"{text(arm)}: edge")]
