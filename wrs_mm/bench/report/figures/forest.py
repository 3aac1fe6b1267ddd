"""Differences to the baseline, as a forest plot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, make_figure, of_arm, text, zero_line
from wrs_mm.bench.report.labels import label, scenario_label
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.statistics.over_seeds import reach
from wrs_mm.bench.statistics.results import main_metrics, records


def differences_to_baseline(
    summary: pd.DataFrame, images: pd.DataFrame, palette: Mapping[str, str]
) -> list[Figure]:
    """For each task, every arm's difference to the baseline with both kinds of interval.

    Args:
        summary: Over seeds, of the last checkpoint.
        images: The intervals over images.
        palette: A color by arm.
    """
    made = []
    for task in MAIN:
        rows = [row for row in records(summary[summary["task"] == task]) if not math.isnan(row["difference"])]
        main = main_metrics(task, {row["metric"] for row in rows})
        if not main:
            continue
        metric = main[0]
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
        where = scenario_label(row)
        if where != before:
            headings.append((height, where))
            height, before = height + 1, where
        arm = label(row)
        ticks.append((height, arm))
        color = palette[arm]
        _, above = reach(row)
        traces.append(
            go.Scatter(
                x=[row["difference"]],
                y=[height],
                **of_arm(arm),
                showlegend=arm not in shown,
                mode="markers",
                marker={"color": color, "size": 11},
                error_x=None if math.isnan(above) else {"array": [above], "color": color, "thickness": 3},
                hovertemplate=f"%{{x:+.2f}} over {row['pairs']} seeds<extra>%{{fullData.name}}</extra>",
            )
        )
        shown.add(arm)
        own = [one for one in images if scenario_label(one) == where and label(one) == arm]
        for index, one in enumerate(own, start=1):
            below, above = reach(one)
            traces.append(
                go.Scatter(
                    x=[one["difference"]],
                    y=[height + 0.5 * index / (len(own) + 1)],
                    **of_arm(arm),
                    showlegend=False,
                    mode="markers",
                    marker={"color": color, "size": 7, "symbol": "diamond-open"},
                    error_x={
                        "symmetric": False,
                        "array": [above],
                        "arrayminus": [below],
                        "color": color,
                        "thickness": 1,
                        "width": 3,
                    },
                    hovertemplate=f"%{{x:+.2f}} over {one['images']} images, seed {one['seed']}"
                    "<extra>%{fullData.name}</extra>",
                )
            )
        height += 1
    return make_figure(
        f"{task.capitalize()}: difference to the baseline in {metric}",
        traces,
        int(110 + 46 * height),
        shapes=[zero_line()],
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
