"""The plots of the report, as plotly figures.

Text that users wrote (recipes, options, classes) goes through :func:`text`: plotly reads a little HTML in
names and labels. Each trace carries its arm's label in ``meta``, by which the page hides an arm everywhere.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
"""Okabe and Ito's colors, told apart by color-blind readers too; black and yellow left out."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star")

_TICKS = (
    (3, (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)),
    (20, (1.0, 2.0, 5.0)),
    (2000, (1.0, 3.0)),
)
"""Multiples of powers of ten that a logarithmic axis shows, where it spans less than a factor."""

_MOST_DECADES = 9
"""Powers of ten for which a logarithmic axis has room."""

AXIS = {"gridcolor": "#e3e6ea", "zeroline": False, "automargin": True}
"""What every axis looks like."""


class Mark(NamedTuple):
    """What an arm's lines and points look like: told apart without colors, too.

    Attributes:
        color: Of both.
        dash: Of lines.
        symbol: Of points.
    """

    color: str
    dash: str
    symbol: str


class Figure(NamedTuple):
    """A plot of the page.

    Attributes:
        title: What it shows; plain text.
        content: The figure, as plotly's JSON.
        height: In pixels.
        arm: Label of the arm that it is of, with which it is hidden; empty where it has several.
    """

    title: str
    content: str
    height: int
    arm: str = ""


def colors(arms: Iterable[str]) -> dict[str, str]:
    """A color for each arm; the first gets the first."""
    listed = list(dict.fromkeys(arms))
    return {arm: _COLORS[index % len(_COLORS)] for index, arm in enumerate(listed)}


def marks(palette: Mapping[str, str]) -> dict[str, Mark]:
    """What each arm looks like, in the order of a palette."""
    return {
        arm: Mark(color, _DASHES[index % len(_DASHES)], _SYMBOLS[index % len(_SYMBOLS)])
        for index, (arm, color) in enumerate(palette.items())
    }


def text(content: str) -> str:
    """What a user wrote, so that plotly shows it as it is."""
    return html.escape(content, quote=False)


def make_figure(title: str, traces: Sequence[Any], height: int, **layout: Any) -> Figure:
    """A figure in the page's style; ``layout`` is plotly's, beside or in place of it."""
    drawn = go.Figure(
        list(traces),
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "font": {"family": "system-ui, sans-serif", "size": 13},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hoverlabel": {"namelength": -1},
            "modebar": {"bgcolor": "rgba(255,255,255,0.85)", "color": "#9aa3ad", "activecolor": "#1d2530"},
            **layout,
            "xaxis": {**AXIS, **layout.get("xaxis", {})},
            "yaxis": {**AXIS, **layout.get("yaxis", {})},
        },
    )
    return Figure(title, str(drawn.to_json()), height)


def zero_line() -> dict[str, Any]:
    """A shape: the vertical line at no difference."""
    line = {"color": "#888", "width": 1}
    return {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def of_arm(arm: str) -> dict[str, Any]:
    """What every trace of an arm has: its name, and one entry of the legend for all of them."""
    return {"name": text(arm), "meta": arm, "legendgroup": arm}


def faint(color: str, strength: float = 0.18) -> str:
    """A color through which the rest is seen."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"


def band(arm: str, x: Sequence[float], low: Sequence[float], high: Sequence[float], color: str) -> Any:
    """A trace: the area between two lines of an arm."""
    return go.Scatter(
        **of_arm(arm),
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=faint(color),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def log_ticks(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis with few ticks: powers of ten, and multiples of these where there is room."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = next((listed for span, listed in _TICKS if high / low < span), (1.0,))
    shown = decades[:: 1 + len(decades) // _MOST_DECADES]
    ticks = [factor * 10.0**power for power in shown for factor in factors]
    margin = 0.04 * math.log10(high / low)
    return {
        "type": "log",
        "range": [math.log10(low) - margin, math.log10(high) + margin],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }
