"""The plots of the report, as plotly figures.

Text that users wrote (recipes, options, classes) goes through :func:`text`: plotly reads a little HTML in
names and labels. Each trace carries its arm's label in ``meta``, by which the page hides an arm everywhere.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from wrs_mm.bench.report.curves import Curve
from wrs_mm.bench.report.tables import AXES, label, plain, records, setting
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.statistics.over_sweeps import axes, point

# Okabe and Ito's colours, told apart by colour-blind readers too; black and yellow left out.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
_GRID = "#e3e6ea"


class Figure(NamedTuple):
    """A plot of the page.

    Attributes:
        title: What it shows; plain text.
        content: The figure, as plotly's JSON.
        height: In pixels.
    """

    title: str
    content: str
    height: int


def colors(arms: Iterable[str]) -> dict[str, str]:
    """A colour for each arm; the first gets the first."""
    listed = list(dict.fromkeys(arms))
    return {arm: _COLORS[index % len(_COLORS)] for index, arm in enumerate(listed)}


def text(content: str) -> str:
    """What a user wrote, so that plotly shows it as it is."""
    return html.escape(content, quote=False)


def _figure(title: str, traces: Sequence[Any], height: int, **layout: Any) -> Figure:
    axis = {"gridcolor": _GRID, "zeroline": False, "automargin": True}
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
            **layout,
            "xaxis": {**axis, **layout.get("xaxis", {})},
            "yaxis": {**axis, **layout.get("yaxis", {})},
        },
    )
    return Figure(title, str(drawn.to_json()), height)


def _faint(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def differences_to_baseline(
    summary: pd.DataFrame, images: pd.DataFrame, palette: Mapping[str, str]
) -> list[Figure]:
    """For each task, every arm's difference to the baseline with both kinds of interval.

    Args:
        summary: Over seeds, of the last checkpoint.
        images: The intervals over images.
        palette: A colour by arm.
    """
    made = []
    for task, main in MAIN.items():
        rows = [row for row in records(summary[summary["task"] == task]) if not math.isnan(row["difference"])]
        metric = next((name for name in main if any(row["metric"] == name for row in rows)), None)
        if metric is None:
            continue
        rows = [row for row in rows if row["metric"] == metric]
        over_images = records(images[(images["task"] == task) & (images["metric"] == metric)])
        made.append(_forest(task, metric, rows, over_images, palette))
    return made


def _forest(
    task: str,
    metric: str,
    rows: list[dict[str, Any]],
    images: list[dict[str, Any]],
    palette: Mapping[str, str],
) -> Figure:
    traces, headings, ticks = [], [], []
    shown: set[str] = set()
    height, before = 0.0, None
    for row in rows:
        where = setting(row)
        if where != before:
            headings.append((height, where))
            height, before = height + 1, where
        arm = label(row)
        ticks.append((height, arm))
        color = palette[arm]
        spread = None if math.isnan(row["low"]) else row["high"] - row["difference"]
        traces.append(
            go.Scatter(
                x=[row["difference"]],
                y=[height],
                name=text(arm),
                meta=arm,
                legendgroup=arm,
                showlegend=arm not in shown,
                mode="markers",
                marker={"color": color, "size": 11},
                error_x=None if spread is None else {"array": [spread], "color": color, "thickness": 3},
                hovertemplate=f"%{{x:+.2f}} over {row['pairs']} seeds<extra>%{{fullData.name}}</extra>",
            )
        )
        shown.add(arm)
        own = [one for one in images if setting(one) == where and label(one) == arm]
        for index, one in enumerate(own, start=1):
            traces.append(
                go.Scatter(
                    x=[one["difference"]],
                    y=[height + 0.5 * index / (len(own) + 1)],
                    name=text(arm),
                    meta=arm,
                    legendgroup=arm,
                    showlegend=False,
                    mode="markers",
                    marker={"color": color, "size": 7, "symbol": "diamond-open"},
                    error_x={
                        "symmetric": False,
                        "array": [one["high"] - one["difference"]],
                        "arrayminus": [one["difference"] - one["low"]],
                        "color": color,
                        "thickness": 1,
                        "width": 3,
                    },
                    hovertemplate=f"%{{x:+.2f}} over {one['images']} images, seed {one['seed']}"
                    "<extra>%{fullData.name}</extra>",
                )
            )
        height += 1
    return _figure(
        f"{task.capitalize()}: difference to the baseline in {metric}",
        traces,
        int(110 + 46 * height),
        shapes=[
            {
                "type": "line",
                "x0": 0,
                "x1": 0,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": "#888", "width": 1},
            }
        ],
        annotations=[
            {
                "text": f"<b>{text(name)}</b>",
                "bgcolor": "white",
                "font": {"size": 12},
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": at + 0.25,
                "showarrow": False,
            }
            for at, name in headings
        ],
        xaxis={"title": {"text": f"points of {metric}"}},
        yaxis={
            "tickvals": [at for at, _ in ticks],
            "ticktext": [text(arm) for _, arm in ticks],
            "range": [height - 0.3, -0.3],
            "showgrid": False,
        },
    )


def curves(
    title: str,
    unit: str,
    by_arm: Mapping[str, Curve],
    diverged: Mapping[str, list[int]],
    palette: Mapping[str, str],
) -> Figure:
    """Curves of arms over their seeds: the mean as a line, lowest to highest as a band.

    Args:
        title: What is drawn.
        unit: Of the values.
        by_arm: Curves.
        diverged: By arm, at which iterations its runs diverged.
        palette: A colour by arm.
    """
    traces: list[Any] = []
    for arm, curve in by_arm.items():
        shared = {"name": text(arm), "meta": arm, "legendgroup": arm}
        if any(low < high for low, high in zip(curve.low, curve.high, strict=True)):
            traces.append(
                go.Scatter(
                    **shared,
                    x=[*curve.steps, *reversed(curve.steps)],
                    y=[*curve.high, *reversed(curve.low)],
                    fill="toself",
                    fillcolor=_faint(palette[arm]),
                    line={"width": 0},
                    mode="lines",
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
        traces.append(
            go.Scatter(
                **shared,
                x=curve.steps,
                y=curve.mean,
                customdata=curve.seeds,
                mode="lines+markers" if len(curve.steps) < 15 else "lines",
                line={"color": palette[arm], "width": 2},
                hovertemplate="%{y:.3f} at %{x}, mean of %{customdata}<extra>%{fullData.name}</extra>",
            )
        )
        ends = diverged.get(arm, [])
        if ends and curve.steps:
            traces.append(
                go.Scatter(
                    **shared,
                    x=ends,
                    y=np.interp(ends, curve.steps, curve.mean).tolist(),
                    mode="markers",
                    marker={"color": palette[arm], "symbol": "x", "size": 11},
                    hovertemplate="diverged at %{x}<extra>%{fullData.name}</extra>",
                    showlegend=False,
                )
            )
    return _figure(
        title,
        traces,
        320 + 10 * len(by_arm),
        hovermode="x",
        xaxis={"title": {"text": "iteration"}, "rangemode": "tozero"},
        yaxis={"title": {"text": unit}},
    )


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


def class_differences(
    title: str, unit: str, by_arm: Mapping[str, Mapping[str, list[float]]], palette: Mapping[str, str]
) -> Figure:
    """The difference to the baseline class by class: each seed a small point, their mean a large one.

    Args:
        title: What is compared.
        unit: Of the differences.
        by_arm: By arm and class, the differences over seeds in points.
        palette: A colour by arm.
    """
    first = next(iter(by_arm.values()))
    order = sorted(first, key=lambda name: sum(first[name]) / len(first[name]))
    at = {name: index for index, name in enumerate(order)}
    traces = []
    for arm, classes in by_arm.items():
        shared = {"meta": arm, "name": text(arm), "legendgroup": arm}
        named = [name for name in order if name in classes]
        if any(len(classes[name]) > 1 for name in named):
            pairs = [(value, at[name]) for name in named for value in classes[name]]
            traces.append(
                go.Scatter(
                    **shared,
                    x=[value for value, _ in pairs],
                    y=[where for _, where in pairs],
                    mode="markers",
                    marker={"color": _faint(palette[arm]), "size": 7},
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
        traces.append(
            go.Scatter(
                **shared,
                x=[sum(classes[name]) / len(classes[name]) for name in named],
                y=[at[name] for name in named],
                mode="markers",
                marker={"color": palette[arm], "size": 9},
                hovertemplate="%{x:+.2f}<extra>%{fullData.name}</extra>",
            )
        )
    return _figure(
        title,
        traces,
        120 + 22 * len(order),
        shapes=[
            {
                "type": "line",
                "x0": 0,
                "x1": 0,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": "#888", "width": 1},
            }
        ],
        xaxis={"title": {"text": unit}},
        yaxis={
            "tickvals": list(at.values()),
            "ticktext": [text(name) for name in order],
            "range": [-0.7, len(order) - 0.3],
        },
    )
