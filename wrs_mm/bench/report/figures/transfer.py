"""Transfer against the number of training images."""

from __future__ import annotations

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, band, colors, log_ticks, make_figure, marks, of_arm
from wrs_mm.bench.statistics.transfer import SizeCurves


def size_figure(one: SizeCurves) -> Figure:
    """A line a start over training images, with the lowest and highest seed."""
    looks = marks(colors(one.curves))
    traces = []
    for start, curve in one.curves.items():
        look = looks[start]
        # A start may be called as an arm is, and is not hidden with it.
        label = f"from {start}"
        traces.append(band(label, curve.steps, curve.low, curve.high, look.color))
        traces.append(
            go.Scatter(
                **of_arm(label),
                x=curve.steps,
                y=curve.mean,
                mode="lines+markers",
                line={"color": look.color, "dash": look.dash},
                marker={"color": look.color, "symbol": look.symbol, "size": 8},
                hovertemplate="%{x} images: %{y:.2f}<extra>%{fullData.name}</extra>",
            )
        )
    sizes = sorted({size for curve in one.curves.values() for size in curve.steps})
    axis = log_ticks(sizes[0], sizes[-1])
    axis |= {
        "tickvals": sizes,
        "ticktext": [str(size) for size in sizes],
        "title": {"text": "training images"},
    }
    title = f"{one.config}, finetuned with {one.arm}: by what it was pretrained with"
    figure = make_figure(title, traces, 360, xaxis=axis, yaxis={"title": {"text": one.metric}})
    return figure._replace(arm=one.arm)
