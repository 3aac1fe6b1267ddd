"""The trials' metric on test against each setting that was looked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from wrs_mm.bench.plan.search import LR, Range, Values, setting_label
from wrs_mm.bench.report.figures.base import Figure, Mark, log_ticks, make_figure, marks, of_arm, text
from wrs_mm.bench.report.labels import AXES, scenario_of
from wrs_mm.bench.statistics.searches import Search
from wrs_mm.bench.statistics.tuned import ArmTrials


def sensitivity_figures(arms: Sequence[ArmTrials], palette: Mapping[str, str]) -> list[Figure]:
    """A plot for lr, with all arms, and one for each setting of an arm's own.

    Args:
        arms: Those of one scenario that were measured on test.
        palette: A color by arm.
    """
    trained = [value for one in arms if one.search for value in one.search.test if not math.isnan(value)]
    if not trained:
        return []
    # Trials that diverged stand below the lowest number, those of each arm at a height of their own.
    step = 0.04 * ((max(trained) - min(trained)) or 1.0)
    bottom = {one.label: min(trained) - (index + 2) * step for index, one in enumerate(arms)}
    with_rate = [one for one in arms if LR in one.space]
    panels = [(LR, with_rate)] if with_rate else []
    panels += [(name, [one]) for one in arms for name in one.space if name != LR]
    figures = [_panel(name, own, palette, bottom) for name, own in panels]
    return [
        figure if name == LR else figure._replace(arm=own[0].label)
        for figure, (name, own) in zip(figures, panels, strict=True)
    ]


def _panel(
    name: str, arms: Sequence[ArmTrials], palette: Mapping[str, str], bottom: Mapping[str, float]
) -> Figure:
    looks = marks(palette)
    traces: list[Any] = []
    for one in arms:
        if one.search is not None:
            traces += _traces(one, one.search, name, looks[one.label], bottom[one.label])
    shown = AXES.get(name, name)
    of = "" if name == LR else f" of {arms[0].label}"
    return make_figure(
        f"{scenario_of(arms[0].spec.scenario)}: trials on test against {shown}{of}",
        traces,
        380,
        xaxis={"title": {"text": text(shown)}, **_axis([one.space[name] for one in arms])},
        yaxis={"title": {"text": f"{arms[0].choice.metric} on test"}},
    )


def _axis(spaces: Sequence[Values]) -> dict[str, Any]:
    """From end to end of what was searched."""
    ranges = [values for values in spaces if isinstance(values, Range)]
    if len(ranges) < len(spaces):
        return {"type": "category"}
    if any(values.scale == "linear" for values in ranges):
        return {}
    return log_ticks(min(values.low for values in ranges), max(values.high for values in ranges))


def _traces(one: ArmTrials, search: Search, name: str, mark: Mark, bottom: float) -> list[Any]:
    """The trials in the order of a setting, then the chosen one, then those that diverged."""
    indices = sorted(range(len(search.numbers)), key=lambda index: _place(search.settings[index][name]))
    trained = [index for index in indices if not math.isnan(search.test[index])]
    lost = [index for index in indices if index not in trained]
    chosen = [] if search.best is None else [search.best]
    # Where nothing else varies the trials lie on one curve.
    mode = "lines+markers" if len(one.space) == 1 else "markers"
    plain = {"color": mark.color, "symbol": mark.symbol, "size": 8}
    large = {**plain, "size": 15, "line": {"color": "black", "width": 2}}
    cross = {"color": mark.color, "symbol": "x-thin", "size": 10, "line": {"width": 2, "color": mark.color}}
    drawn = [
        (trained, [search.test[index] for index in trained], mode, plain, "%{y:.2f}"),
        (chosen, [search.test[index] for index in chosen], "markers", large, "chosen on tune: %{y:.2f}"),
        (lost, [bottom] * len(lost), "markers", cross, "diverged"),
    ]
    return [
        go.Scatter(
            **of_arm(one.label),
            x=[search.settings[index][name] for index in which],
            y=heights,
            customdata=[
                text(f"trial {search.numbers[index]}: {setting_label(search.settings[index])}")
                for index in which
            ],
            mode=how,
            line={"color": mark.color, "width": 1, "dash": mark.dash},
            marker=marker,
            hovertemplate=f"{said}, %{{customdata}}<extra>%{{fullData.name}}</extra>",
            showlegend=which is (trained or lost),
        )
        for which, heights, how, marker, said in drawn
        if which
    ]


def _place(value: Any) -> tuple[float, str]:
    return (float(value), "") if isinstance(value, (int, float)) else (0.0, str(value))
