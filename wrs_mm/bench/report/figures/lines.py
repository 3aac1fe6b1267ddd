"""Lines in panels: what a figure of several panels is made of, whatever it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, of_arm
from wrs_mm.bench.report.figures.panels import Quantity, panel_figure
from wrs_mm.bench.statistics.curves import Curve

_MOST_POINTS = 100
"""Points of a line in a panel."""


class Line(NamedTuple):
    """A line of a panel, and how it is drawn."""

    curve: Curve
    draw: Callable[[Curve], list[Any]]


def line_figure(
    title: str, stages: Sequence[str], lines: Mapping[str, Mapping[str, list[Line]]]
) -> Figure | None:
    """Panels of lines on logarithmic axes; None where there is nothing to draw.

    Args:
        title: What is drawn.
        stages: A panel each.
        lines: By quantity, one or two, and by stage.
    """
    quantities = []
    for name, by_stage in lines.items():
        drawn = [line.curve for listed in by_stage.values() for line in listed]
        values = [value for curve in drawn for value in (*curve.low, *curve.high) if value > 0]
        if values:
            low, high = min(values), max(values)
            middle = math.sqrt(low * high)
            quantities.append(
                Quantity(name, _traces(by_stage), min(low, middle / 1.2), max(high, 1.2 * middle))
            )
    return panel_figure(title, stages, quantities) if quantities else None


def _traces(by_stage: Mapping[str, list[Line]]) -> Callable[[str], list[Any]]:
    def of(stage: str) -> list[Any]:
        return [trace for line in by_stage.get(stage, []) for trace in line.draw(_thinned(line.curve))]

    return of


def line_trace(arm: str, curve: Curve, **style: Any) -> Any:
    """A curve's mean as a trace of an arm; ``style`` is plotly's, beside or in place of what it has."""
    return go.Scatter(
        **{
            **of_arm(arm),
            "x": curve.steps,
            "y": short(curve.mean),
            "hovertemplate": "%{y:.3g}<extra>%{fullData.name}</extra>",
            **style,
        }
    )


def _thinned(curve: Curve) -> Curve:
    """A curve of not too many points, the first and the last among them."""
    count = len(curve.steps)
    if count <= _MOST_POINTS:
        return curve
    kept = sorted({round(index * (count - 1) / (_MOST_POINTS - 1)) for index in range(_MOST_POINTS)})

    def some(values: Sequence[Any]) -> list[Any]:
        return [values[index] for index in kept]

    lists = (some(curve.steps), some(curve.mean), some(curve.low), some(curve.high), some(curve.seeds))
    return Curve(*lists, curve.diverged)


def short(values: Sequence[float]) -> list[float]:
    """Four digits are more than a plot shows, and make a page a third as large."""
    return [float(f"{value:.4g}") for value in values]
