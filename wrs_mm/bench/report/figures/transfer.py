"""Transfer against the number of training images."""

from __future__ import annotations

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, band, colors, log_ticks, make_figure, marks, of_arm
from wrs_mm.bench.statistics.transfer import SizeCurves


def size_figure(one: SizeCurves) -> Figure:
    """A line a start over training images, with the lowest and highest seed."""
    looks = marks(colors(curve.label for curve in one.curves))
    traces = []
    for curve in one.curves:
        look, images = looks[curve.label], [float(count) for count in curve.images]
        traces.append(band(curve.label, images, curve.low, curve.high, look.color))
        traces.append(
            go.Scatter(
                **of_arm(curve.label),
                x=images,
                y=curve.mean,
                mode="lines+markers",
                line={"color": look.color, "dash": look.dash},
                marker={"color": look.color, "symbol": look.symbol, "size": 8},
                hovertemplate="%{x} images: %{y:.2f}<extra>from %{fullData.name}</extra>",
            )
        )
    sizes = sorted({size for curve in one.curves for size in curve.images})
    axis = log_ticks(sizes[0], sizes[-1])
    axis |= {
        "tickvals": sizes,
        "ticktext": [str(size) for size in sizes],
        "title": {"text": "training images"},
    }
    title = f"{one.config}, finetuned with {one.arm}: by what it was pretrained with"
    return make_figure(title, traces, 360, xaxis=axis, yaxis={"title": {"text": one.metric}})
