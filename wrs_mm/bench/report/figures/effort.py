"""What is to be expected on test from so many trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, Mark, band, make_figure, marks, of_arm
from wrs_mm.bench.report.labels import number, range_of, scenario_of
from wrs_mm.bench.statistics.tuned import ArmTrials


def effort_figure(arms: Sequence[ArmTrials], palette: Mapping[str, str]) -> Figure:
    """Expected test metric of the best of k settings on tune against k, a line an arm.

    Of an arm whose landscape is known, k random settings with the band of their interval; of others, k of the
    trials, without a band.

    Args:
        arms: Those of one scenario that were measured on test.
        palette: A color by arm.
    """
    looks = marks(palette)
    # Bands first, so that no line lies under one.
    traces = [_band(one, looks[one.label]) for one in arms if one.expected]
    traces += [_line(one, looks[one.label]) for one in arms]
    most = max(one.through for one in arms)
    ticks = [2**power for power in range(most.bit_length())]
    metric = arms[0].choice.metric
    return make_figure(
        f"{scenario_of(arms[0].spec.scenario)}: expected {metric} on test against trials",
        traces,
        400,
        hovermode="x",
        xaxis={
            "title": {"text": "trials (logarithmic)"},
            **{"type": "log", "tickvals": ticks, "ticktext": [str(tick) for tick in ticks]},
        },
        yaxis={"title": {"text": f"{metric} on test"}},
    )


def _band(one: ArmTrials, mark: Mark) -> Any:
    ks, _, low, high = zip(*one.expected, strict=True)
    return band(one.label, ks, low, high, mark.color)


def _line(one: ArmTrials, mark: Mark) -> Any:
    points = one.expected or one.best_of_k
    more = [
        f" {range_of(e.low, e.high)}, of the trials made {number(made.metric)}"
        for e, made in zip(one.expected, one.best_of_k, strict=False)
    ] or [" of the trials made"] * len(points)
    return go.Scatter(
        **of_arm(one.label),
        x=[point.k for point in points],
        y=[point.metric for point in points],
        customdata=more,
        mode="lines+markers",
        line={"color": mark.color, "width": 2, "dash": mark.dash},
        marker={"color": mark.color, "symbol": mark.symbol, "size": 8},
        hovertemplate="%{y:.2f}%{customdata}<extra>%{fullData.name}</extra>",
    )
