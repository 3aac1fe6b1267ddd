"""A metric along a swept option."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from wrs_mm.bench.plan.spec import short_name
from wrs_mm.bench.report.figures.base import Figure, colors, make_figure, of_arm, text
from wrs_mm.bench.report.labels import AXES, plain
from wrs_mm.bench.statistics.over_sweeps import SweepPoint, SweptPoints, sweep_key
from wrs_mm.bench.statistics.results import records


def sweep_figures(points: SweptPoints, best: pd.DataFrame) -> list[Figure]:
    """For each recipe and swept option, the main metric against its values.

    Args:
        points: From :func:`wrs_mm.bench.statistics.over_sweeps.swept_points`.
        best: From :func:`wrs_mm.bench.statistics.over_sweeps.sweeps`, of the checkpoint to show.
    """
    made = []
    for _, group in best.groupby(["recipe", "optimizer"], sort=True):
        rows = records(group)
        made += [_sweep_figure(points, rows, axis) for axis in sorted({row["axis"] for row in rows} - {""})]
    return made


def _sweep_figure(points: SweptPoints, rows: Sequence[Mapping[str, Any]], axis: str) -> Figure:
    """The arms of one recipe and optimizer along one axis."""
    arms = list(dict.fromkeys(row["regularizer"] for row in rows))
    palette = colors(arms)
    swept = {
        arm: points[sweep_key(row)]
        for arm in arms
        for row in rows
        if row["regularizer"] == arm and row["axis"] == axis
    }
    values = sorted({point.value for along in swept.values() for point in along})
    traces: list[Any] = []
    for arm in arms:
        if arm in swept:
            traces += _line(short_name(arm), swept[arm], palette[arm])
        else:
            mean = next(row["mean"] for row in rows if row["regularizer"] == arm)
            traces.append(_level(short_name(arm), mean, [values[0], values[-1]], palette[arm]))
    wide = values[0] > 0 and values[-1] / values[0] > 5
    first = rows[0]
    recipe, optimizer, name = first["recipe"], first["optimizer"], AXES.get(axis, axis)
    where = recipe if optimizer == "recipe" else f"{recipe} · {optimizer}"
    ticks = {"tickvals": values, "ticktext": [plain(value) for value in values]}
    return make_figure(
        f"{where}: {first['metric']} of the {first['checkpoint']} checkpoint against {name}",
        traces,
        360,
        xaxis={"title": {"text": text(name)}, "type": "log" if wide else "linear", **ticks},
        yaxis={"title": {"text": first["metric"]}},
    )


def _line(arm: str, points: Sequence[SweepPoint], color: str) -> list[Any]:
    means = [None if math.isnan(point.mean) else point.mean for point in points]
    spreads = [0.0 if math.isnan(point.sd) else point.sd for point in points]
    made = [
        go.Scatter(
            **of_arm(arm),
            x=[point.value for point in points],
            y=means,
            customdata=[point.seeds for point in points],
            error_y={"array": spreads, "color": color} if any(spreads) else None,
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"size": 8},
            hovertemplate="%{y:.2f} at %{x}, mean of %{customdata}<extra>%{fullData.name}</extra>",
        )
    ]
    lost = [point for point in points if point.diverged]
    bottom = min((mean for mean in means if mean is not None), default=0.0)
    if lost:
        made.append(
            go.Scatter(
                **of_arm(arm),
                x=[point.value for point in lost],
                y=[bottom] * len(lost),
                customdata=[point.diverged for point in lost],
                mode="markers+text",
                text=["diverged"] * len(lost),
                textposition="top center",
                marker={"color": color, "symbol": "x", "size": 12},
                hovertemplate="%{customdata} diverged at %{x}<extra>%{fullData.name}</extra>",
                showlegend=False,
            )
        )
    return made


def _level(arm: str, mean: float, ends: list[float], color: str) -> Any:
    """An arm that does not have the option: the same wherever the others are."""
    return go.Scatter(
        **{**of_arm(arm), "name": text(f"{arm} (has no such option)")},
        x=ends,
        y=[mean] * 2,
        mode="lines",
        line={"color": color, "width": 2, "dash": "dash"},
        hovertemplate="%{y:.2f}<extra>%{fullData.name}</extra>",
    )
