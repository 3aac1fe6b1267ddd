"""Learning curves: a metric on train and on tune during training, a plot an arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, faint, make_figure, of_arm
from wrs_mm.bench.report.labels import SPLITS
from wrs_mm.bench.statistics.learning import Learning
from wrs_mm.bench.statistics.logs import Series

_DASHES = {"train": "dash", "tune": "solid"}
"""The same in all plots, whatever the arm."""


def learning_figures(metric: str, by_arm: Mapping[str, Learning], palette: Mapping[str, str]) -> list[Figure]:
    """For each arm, means over seeds as lines and single seeds faintly; all plots with one range of values.

    Args:
        metric: What is drawn.
        by_arm: The arms' curves.
        palette: A color by arm.
    """
    values = [
        value
        for one in by_arm.values()
        for series in (*one.train_seeds, *one.tune_seeds)
        for value in series.values()
    ]
    if not values:
        return []
    margin = 0.04 * ((max(values) - min(values)) or 1.0)
    extent = [min(values) - margin, max(values) + margin]
    return [
        make_figure(
            arm,
            _traces(arm, one, palette[arm]),
            260,
            hovermode="x",
            xaxis={"title": {"text": "iteration"}, "rangemode": "tozero"},
            yaxis={"title": {"text": metric}, "range": extent},
        )._replace(arm=arm)
        for arm, one in by_arm.items()
    ]


def _traces(arm: str, one: Learning, color: str) -> list[Any]:
    made: list[Any] = []
    for split, seeds in (("train", one.train_seeds), ("tune", one.tune_seeds)):
        made += [_single(arm, series, color, _DASHES[split]) for series in seeds if len(seeds) > 1]
    for split, curve in (("train", one.train), ("tune", one.tune)):
        made.append(
            go.Scatter(
                meta=arm,
                name=SPLITS.get(split, split),
                legendgroup=split,
                x=curve.steps,
                y=curve.mean,
                customdata=curve.seeds,
                mode="lines",
                line={"color": color, "width": 3, "dash": _DASHES[split]},
                hovertemplate="%{y:.2f}, mean of %{customdata}<extra>%{fullData.name}</extra>",
            )
        )
    return made


def _single(arm: str, series: Series, color: str, dash: str) -> Any:
    return go.Scatter(
        **of_arm(arm),
        x=list(series),
        y=list(series.values()),
        mode="lines",
        line={"color": faint(color, 0.45), "width": 1, "dash": dash},
        hoverinfo="skip",
        showlegend=False,
    )
