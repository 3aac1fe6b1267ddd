"""Differences to the baseline, class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, faint, make_figure, of_arm, text, zero_line
from wrs_mm.bench.statistics.by_class import ClassDifference


def class_figure(
    title: str, unit: str, by_arm: Mapping[str, Sequence[ClassDifference]], palette: Mapping[str, str]
) -> Figure:
    """The difference to the baseline class by class: each seed a small point, their mean a large one.

    Args:
        title: What is compared.
        unit: Of the differences.
        by_arm: By arm, from :func:`wrs_mm.bench.statistics.by_class.class_differences`.
        palette: A color by arm.
    """
    order = [one.name for one in next(iter(by_arm.values()))]
    at = {name: index for index, name in enumerate(order)}
    traces = []
    for arm, classes in by_arm.items():
        shared = of_arm(arm)
        if any(len(one.values) > 1 for one in classes):
            pairs = [(value, at[one.name]) for one in classes for value in one.values]
            traces.append(
                go.Scatter(
                    **shared,
                    x=[value for value, _ in pairs],
                    y=[where for _, where in pairs],
                    mode="markers",
                    marker={"color": faint(palette[arm]), "size": 7},
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
        traces.append(
            go.Scatter(
                **shared,
                x=[one.mean for one in classes],
                y=[at[one.name] for one in classes],
                mode="markers",
                marker={"color": palette[arm], "size": 9},
                hovertemplate="%{x:+.2f}<extra>%{fullData.name}</extra>",
            )
        )
    return make_figure(
        title,
        traces,
        120 + 22 * len(order),
        shapes=[zero_line()],
        xaxis={"title": {"text": unit}},
        yaxis={
            "tickvals": list(at.values()),
            "ticktext": [text(name) for name in order],
            "range": [-0.7, len(order) - 0.3],
        },
    )
