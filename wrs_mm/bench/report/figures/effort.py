"""What is to be expected on test from so many trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import Figure, Mark, faint, make_figure, marks, of_arm
from wrs_mm.bench.report.labels import scenario_of
from wrs_mm.bench.statistics.tuned import ArmTuning


def effort_figure(arms: Sequence[ArmTuning], palette: Mapping[str, str]) -> Figure:
    """Expected test metric of the best of k trials against k, a line an arm, with the band of its interval.

    Args:
        arms: Those of one scenario, with metrics on test.
        palette: A color by arm.
    """
    looks = marks(palette)
    # Bands first, so that no line lies under one.
    traces = [_band(one, looks[one.spec.arm_label]) for one in arms if one.expected]
    traces += [_line(one, looks[one.spec.arm_label]) for one in arms]
    most = max(len(one.trials) for one in arms)
    ticks = [2**power for power in range(most.bit_length())]
    metric = arms[0].metric
    return make_figure(
        f"{scenario_of(arms[0].spec)}: expected {metric} on test against trials",
        traces,
        400,
        hovermode="x",
        xaxis={
            "title": {"text": "trials (logarithmic)"},
            **{"type": "log", "tickvals": ticks, "ticktext": [str(tick) for tick in ticks]},
        },
        yaxis={"title": {"text": f"{metric} on test"}},
    )


def _band(one: ArmTuning, mark: Mark) -> Any:
    ks = [expected.k for expected in one.expected]
    return go.Scatter(
        **of_arm(one.spec.arm_label),
        x=[*ks, *reversed(ks)],
        y=[*(e.high for e in one.expected), *(e.low for e in reversed(one.expected))],
        fill="toself",
        fillcolor=faint(mark.color),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _line(one: ArmTuning, mark: Mark) -> Any:
    effort = one.effort
    shared = {"color": mark.color}
    return go.Scatter(
        **of_arm(one.spec.arm_label),
        x=[best.k for best in effort],
        y=[best.metric for best in effort],
        mode="lines+markers",
        line={**shared, "width": 2, "dash": mark.dash},
        marker={**shared, "symbol": mark.symbol, "size": 8},
        hovertemplate="%{y:.2f}<extra>%{fullData.name}</extra>",
    )
