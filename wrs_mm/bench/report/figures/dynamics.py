"""What training did to scale-invariant weights: effective schedules, norms, equilibria, single filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from wrs_mm.bench.report.figures.base import (
    AXIS,
    Figure,
    Mark,
    band,
    faint,
    log_ticks,
    make_figure,
    marks,
    of_arm,
    text,
)
from wrs_mm.bench.report.figures.lines import Line, line_figure, line_trace, short
from wrs_mm.bench.report.figures.panels import heading
from wrs_mm.bench.statistics.curves import Curve, curve_over_seeds
from wrs_mm.bench.statistics.dynamics import (
    LAST_PART,
    RATE,
    Spread,
    Watched,
    stage_curves,
    stage_series,
    turn_spread,
)
from wrs_mm.bench.statistics.equilibria import predicted

_TURN = "radians an update"
"""What stands at the axis of angular updates."""


def schedule_figure(title: str, watched: Watched, palette: Mapping[str, str]) -> Figure | None:
    """Did the arms train with the same effective schedule? Effective learning rates and angular updates."""
    rate = "lr / ‖w‖²" if watched.runs[0].dynamics.contents.sgd else "lr / ‖w‖"
    shown = [(rate, RATE), (_TURN, "turn")]
    return line_figure(
        title, watched.runs[0].stages, {name: _measured(watched, key, palette) for name, key in shown}
    )


def norm_figure(title: str, watched: Watched, palette: Mapping[str, str]) -> Figure | None:
    """Norms over training."""
    return line_figure(title, watched.runs[0].stages, {"‖w‖": _measured(watched, "norm", palette)})


def equilibrium_figure(title: str, watched: Watched, palette: Mapping[str, str]) -> Figure | None:
    """Norms and angular updates beside the equilibria that theory predicts, of the arms that have any."""
    looks = marks(palette)
    shown: dict[str, dict[str, list[Line]]] = {"‖w‖": {}, _TURN: {}}
    for arm, runs in watched.by_arm().items():
        known = [(run, prediction) for run in runs if (prediction := predicted(run)) is not None]
        for name, key in (("‖w‖", "norm_4"), (_TURN, "turn")):
            for stage in runs[0].stages if known else []:
                theory = curve_over_seeds(
                    stage_series(run, p.norm if key == "norm_4" else p.turn, stage) for run, p in known
                )
                reached = {
                    step
                    for run, p in known
                    for step, there in zip(
                        run.dynamics.iterations.tolist(), run.of_stage(p.reached, stage).mean(1), strict=True
                    )
                    if there > 0.5
                }
                measured = stage_curves(runs, key, stage)
                if theory.steps:
                    shown[name].setdefault(stage, []).extend(
                        [
                            Line(theory, _theory(arm, looks[arm], reached)),
                            Line(measured, _arm(arm, looks[arm])),
                        ]
                    )
    return line_figure(
        title, watched.runs[0].stages, {name: by_stage for name, by_stage in shown.items() if by_stage}
    )


def spread_figure(title: str, watched: Watched, palette: Mapping[str, str]) -> Figure | None:
    """How far single filters turned in an update, in the first and in the last quarter of the training."""
    by_arm, looks = watched.by_arm(), marks(palette)
    stages = watched.runs[0].stages
    spreads = {
        (part, arm): [turn_spread(runs, stage, part) for stage in stages]
        for part in (0, LAST_PART)
        for arm, runs in by_arm.items()
    }
    medians = [one.median for listed in spreads.values() for one in listed if one.median > 0]
    if not medians:
        return None
    ends = [end for listed in spreads.values() for one in listed for end in one if end > 0]
    # Filters that hardly turn would push all others to the edge.
    low, high = max(min(ends), min(medians) / 30), max(ends)
    traces = []
    for (part, arm), listed in spreads.items():
        offset = 0.7 * ((list(by_arm).index(arm) + 0.5) / len(by_arm) - 0.5)
        heights = [index + offset for index in range(len(stages))]
        traces.append(_bars(arm, listed, heights, looks[arm], low, first=part == 0))
    values = {"title": {"text": _TURN}, **log_ticks(low, max(high, 1.2 * low))}
    names = {
        **{"tickvals": list(range(len(stages))), "ticktext": [text(stage) for stage in stages]},
        "range": [len(stages) - 0.5, -0.5],
    }
    height = len(stages) * (14 * len(by_arm) + 16)
    wide = {
        **_side_by_side(values, names),
        "legend": {"orientation": "h", "x": 0, "y": 1 + 30 / height, "yanchor": "bottom"},
    }
    narrow = {
        **_below_each_other(values, names, height),
        "legend": {"orientation": "h", "x": 0, "y": 1 + 30 / (2 * height + 90), "yanchor": "bottom"},
        "height": 2 * height + 240,
    }
    margin = {"l": 8, "r": 12, "t": 30, "b": 8}
    return make_figure(title, traces, height + 110, margin=margin, meta={"narrow": narrow}, **wide)


def _side_by_side(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Both quarters of a training on a screen."""
    return {
        "xaxis": {**AXIS, **values, "domain": [0, 0.485]},
        "xaxis2": {**AXIS, **values, "domain": [0.515, 1], "matches": "x", "anchor": "y2"},
        "yaxis": {**AXIS, **names},
        "yaxis2": {**AXIS, **names, "matches": "y", "anchor": "x2", "showticklabels": False},
        "annotations": [heading("<b>first quarter</b>", 0, 1), heading("<b>last quarter</b>", 0.515, 1)],
    }


def _below_each_other(values: Mapping[str, Any], names: Mapping[str, Any], height: int) -> dict[str, Any]:
    """Both quarters of a training on a phone; each as high as it is on a screen."""
    share = height / (2 * height + 90)
    untitled = {key: value for key, value in values.items() if key != "title"}
    return {
        "xaxis": {**AXIS, **untitled, "anchor": "y"},
        "xaxis2": {**AXIS, **values, "matches": "x", "anchor": "y2"},
        "yaxis": {**AXIS, **names, "domain": [1 - share, 1]},
        "yaxis2": {**AXIS, **names, "matches": "y", "anchor": "x2", "domain": [0, share]},
        "annotations": [heading("<b>first quarter</b>", 0, 1), heading("<b>last quarter</b>", 0, share)],
    }


def _measured(watched: Watched, key: str, palette: Mapping[str, str]) -> dict[str, list[Line]]:
    """By stage, a line for each arm."""
    looks, by_arm = marks(palette), watched.by_arm()
    return {
        stage: [Line(stage_curves(runs, key, stage), _arm(arm, looks[arm])) for arm, runs in by_arm.items()]
        for stage in watched.runs[0].stages
    }


def _arm(arm: str, mark: Mark) -> Callable[[Curve], list[Any]]:
    """Draws what an arm has measured: the mean of its seeds as a line, lowest to highest as a band."""

    def draw(curve: Curve) -> list[Any]:
        made = []
        if any(low < high for low, high in zip(curve.low, curve.high, strict=True)):
            made.append(band(arm, curve.steps, short(curve.low), short(curve.high), mark.color))
        style = {"color": mark.color, "width": 2, "dash": mark.dash}
        return [*made, line_trace(arm, curve, mode="lines", line=style)]

    return draw


def _theory(arm: str, mark: Mark, reached: set[int]) -> Callable[[Curve], list[Any]]:
    """Draws a prediction: a thin line with open symbols, broad and pale where it should hold."""

    def draw(curve: Curve) -> list[Any]:
        name = f"{text(arm)}: theory"
        points = zip(curve.steps, short(curve.mean), strict=True)
        there = [value if step in reached else None for step, value in points]
        return [
            line_trace(
                arm,
                curve,
                **{"y": there, "mode": "lines", "line": {"color": faint(mark.color, 0.3), "width": 9}},
                **{"showlegend": False, "hoverinfo": "skip", "hovertemplate": None},
            ),
            line_trace(
                arm,
                curve,
                **{"mode": "lines+markers", "line": {"color": mark.color, "width": 1}},
                marker={"color": mark.color, "symbol": f"{mark.symbol}-open", "size": 6, "maxdisplayed": 6},
                name=name,
            ),
        ]

    return draw


def _bars(
    arm: str, listed: Sequence[Spread], heights: Sequence[float], mark: Mark, low: float, first: bool
) -> Any:
    """The median as a point, 10 % to 90 % as a bar."""
    known = [(one, height) for one, height in zip(listed, heights, strict=True) if one.median > 0]
    medians = [max(one.median, low) for one, _ in known]
    return go.Scatter(
        **of_arm(arm),
        x=short(medians),
        y=[height for _, height in known],
        xaxis="x" if first else "x2",
        yaxis="y" if first else "y2",
        showlegend=first,
        mode="markers",
        marker={"color": mark.color, "symbol": mark.symbol, "size": 8},
        error_x={
            "array": short([one.high - median for (one, _), median in zip(known, medians, strict=True)]),
            "arrayminus": short(
                [median - max(one.low, low) for (one, _), median in zip(known, medians, strict=True)]
            ),
            **{"color": mark.color, "width": 0, "thickness": 3},
        },
        hovertemplate="median %{x:.3g}<extra>%{fullData.name}</extra>",
    )
