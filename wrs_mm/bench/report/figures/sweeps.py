"""A metric along a swept option."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, _figure, colors, text
from wrs_mm.bench.report.tables import AXES, plain, records
from wrs_mm.bench.statistics.over_sweeps import axes, point


def sweep_plots(results: pd.DataFrame, best: pd.DataFrame) -> list[Figure]:
    """For each recipe and swept option, the main metric against its values.

    Args:
        results: ``results.csv``.
        best: From :func:`wrs_mm.bench.statistics.over_sweeps.sweeps`, of the checkpoint to show.
    """
    made = []
    for (recipe, optimizer), group in best.groupby(["recipe", "optimizer"], sort=True):
        runs = results[(results["recipe"] == recipe) & (results["optimizer"] == optimizer)]
        palette = colors(group["regularizer"])
        for axis in sorted(set(group["axis"]) - {""}):
            traces: list[Any] = []
            values: list[float] = []
            for arm in dict.fromkeys(group["regularizer"]):
                rows = records(group[group["regularizer"] == arm])
                own = next((row for row in rows if row["axis"] == axis), None)
                of_arm = runs[runs["regularizer"] == arm]
                if own is None:
                    traces.append(_level(arm, rows[0], palette[arm]))
                    continue
                swept, found = _along(of_arm, own, axis)
                values += swept
                traces += _line(arm, swept, found, palette[arm])
            for trace in traces:
                if trace.x is None:
                    trace.x = [min(values), max(values)]
            wide = min(values) > 0 and max(values) / min(values) > 5
            metric, which = group["metric"].iloc[0], group["checkpoint"].iloc[0]
            name = AXES.get(axis, axis)
            where = str(recipe) if optimizer == "recipe" else f"{recipe} · {optimizer}"
            ticks = {"tickvals": sorted(set(values)), "ticktext": [plain(v) for v in sorted(set(values))]}
            made.append(
                _figure(
                    f"{where}: {metric} of the {which} checkpoint against {name}",
                    traces,
                    360,
                    xaxis={"title": {"text": text(name)}, "type": "log" if wide else "linear", **ticks},
                    yaxis={"title": {"text": metric}},
                )
            )
    return made


def _along(
    runs: pd.DataFrame, best: Mapping[str, Any], axis: str
) -> tuple[list[float], list[dict[str, Any]]]:
    """The values of an axis through the best point, and what was measured at each."""
    rows = records(runs)
    at_best = dict(json.loads(best["setting"]))
    steps = axes({point(row) for row in rows})[axis]
    found = []
    for step in steps:
        where = tuple(sorted({**at_best, axis: step}.items()))
        here = [row for row in rows if point(row) == where]
        measured = [
            row["value"]
            for row in here
            if row["status"] == "done"
            and row["metric"] == best["metric"]
            and row["checkpoint"] == best["checkpoint"]
        ]
        diverged = {row["run"] for row in here if row["status"] == "diverged"}
        found.append({"values": measured, "diverged": len(diverged)})
    return steps, found


def _line(arm: str, steps: list[float], found: list[dict[str, Any]], color: str) -> list[Any]:
    frames = [pd.Series(one["values"], dtype=float) for one in found]
    means = [None if frame.empty else float(frame.mean()) for frame in frames]
    spreads = [float(frame.std()) if len(frame) > 1 else 0.0 for frame in frames]
    shared = {"name": text(arm), "meta": arm, "legendgroup": arm}
    made = [
        go.Scatter(
            **shared,
            x=steps,
            y=means,
            customdata=[len(frame) for frame in frames],
            error_y={"array": spreads, "color": color} if any(spreads) else None,
            mode="lines+markers",
            line={"color": color, "width": 2},
            marker={"size": 8},
            hovertemplate="%{y:.2f} at %{x}, mean of %{customdata}<extra>%{fullData.name}</extra>",
        )
    ]
    lost = [(step, one["diverged"]) for step, one in zip(steps, found, strict=True) if one["diverged"]]
    bottom = min((mean for mean in means if mean is not None), default=0.0)
    if lost:
        made.append(
            go.Scatter(
                **shared,
                x=[step for step, _ in lost],
                y=[bottom] * len(lost),
                customdata=[count for _, count in lost],
                mode="markers+text",
                text=["diverged"] * len(lost),
                textposition="top center",
                marker={"color": color, "symbol": "x", "size": 12},
                hovertemplate="%{customdata} diverged at %{x}<extra>%{fullData.name}</extra>",
                showlegend=False,
            )
        )
    return made


def _level(arm: str, row: Mapping[str, Any], color: str) -> Any:
    """An arm that does not have the option: the same wherever the others are."""
    return go.Scatter(
        name=text(f"{arm} (has no such option)"),
        meta=arm,
        legendgroup=arm,
        y=[row["mean"]] * 2,
        mode="lines",
        line={"color": color, "width": 2, "dash": "dash"},
        hovertemplate="%{y:.2f}<extra>%{fullData.name}</extra>",
    )
