"""Differences to the baseline, class by class."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, _faint, _figure, text


def class_differences(
    title: str, unit: str, by_arm: Mapping[str, Mapping[str, list[float]]], palette: Mapping[str, str]
) -> Figure:
    """The difference to the baseline class by class: each seed a small point, their mean a large one.

    Args:
        title: What is compared.
        unit: Of the differences.
        by_arm: By arm and class, the differences over seeds in points.
        palette: A color by arm.
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
