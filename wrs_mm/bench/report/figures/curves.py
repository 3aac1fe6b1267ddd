"""Metrics over training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, band, make_figure, marks, of_arm
from wrs_mm.bench.statistics.curves import Curve


def curve_figure(title: str, unit: str, by_arm: Mapping[str, Curve], palette: Mapping[str, str]) -> Figure:
    """Curves of arms over their seeds: the mean as a line, lowest to highest as a band.

    Args:
        title: What is drawn.
        unit: Of the values.
        by_arm: Curves.
        palette: A color by arm.
    """
    traces: list[Any] = []
    looks = marks(palette)
    for arm, curve in by_arm.items():
        shared = of_arm(arm)
        if any(low < high for low, high in zip(curve.low, curve.high, strict=True)):
            traces.append(band(arm, curve.steps, curve.low, curve.high, palette[arm]))
        traces.append(
            go.Scatter(
                **shared,
                x=curve.steps,
                y=curve.mean,
                customdata=curve.seeds,
                mode="lines+markers" if len(curve.steps) < 15 else "lines",
                line={"color": palette[arm], "width": 2, "dash": looks[arm].dash},
                marker={"symbol": looks[arm].symbol, "size": 7},
                hovertemplate="%{y:.3f} at %{x}, mean of %{customdata}<extra>%{fullData.name}</extra>",
            )
        )
        if curve.diverged:
            traces.append(
                go.Scatter(
                    **shared,
                    x=[step for step, _ in curve.diverged],
                    y=[value for _, value in curve.diverged],
                    mode="markers",
                    marker={"color": palette[arm], "symbol": "x", "size": 11},
                    hovertemplate="diverged at %{x}<extra>%{fullData.name}</extra>",
                    showlegend=False,
                )
            )
    return make_figure(
        title,
        traces,
        320 + 10 * len(by_arm),
        hovermode="x",
        xaxis={"title": {"text": "iteration"}, "rangemode": "tozero"},
        yaxis={"title": {"text": unit}},
    )
