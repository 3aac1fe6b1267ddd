"""The trials' metric on test against each setting that was looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from wrs_mm.bench.plan.search import LR, Range, setting_label
from wrs_mm.bench.report.figures.base import Figure, Mark, make_figure, marks, of_arm, text
from wrs_mm.bench.report.labels import AXES, scenario_of
from wrs_mm.bench.statistics.tuned import ArmTuning, Trial


def sensitivity_figures(arms: Sequence[ArmTuning], palette: Mapping[str, str]) -> list[Figure]:
    """A plot for lr, with all arms, and one for each setting of an arm's own.

    Args:
        arms: Those of one scenario, with metrics on test.
        palette: A color by arm.
    """
    with_rate = [one for one in arms if LR in one.space]
    panels = [(LR, with_rate)] if with_rate else []
    panels += [(name, [one]) for one in arms for name in one.space if name != LR]
    return [_panel(name, own, palette) for name, own in panels]


def _panel(name: str, arms: Sequence[ArmTuning], palette: Mapping[str, str]) -> Figure:
    looks = marks(palette)
    values = [trial.test for one in arms for trial in one.trials if not trial.diverged]
    # Those that diverged stand below the lowest number.
    bottom = min(values) - 0.08 * ((max(values) - min(values)) or 1.0)
    traces: list[Any] = []
    for one in arms:
        traces += _traces(one, name, looks[one.spec.arm_label], bottom)
    shown = AXES.get(name, name)
    of = f" of {arms[0].spec.arm_label}" if name != LR else ""
    space = arms[0].space[name]
    wide = isinstance(space, Range) and space.scale == "log"
    return make_figure(
        f"{scenario_of(arms[0].spec)}: trials on test against {shown}{of}",
        traces,
        380,
        xaxis={"title": {"text": text(shown)}, **({"type": "log", "dtick": "D1"} if wide else {})},
        yaxis={"title": {"text": f"{arms[0].metric} on test"}},
    )


def _traces(one: ArmTuning, name: str, mark: Mark, bottom: float) -> list[Any]:
    trained = sorted((t for t in one.trials if not t.diverged), key=lambda trial: str(trial.settings[name]))
    trained.sort(key=lambda trial: _sortable(trial.settings[name]))
    lost = [trial for trial in one.trials if trial.diverged]
    arm, metric = one.spec.arm_label, one.metric
    made = [
        go.Scatter(
            **of_arm(arm),
            x=[trial.settings[name] for trial in trained],
            y=[trial.test for trial in trained],
            customdata=[_words(trial) for trial in trained],
            # Where nothing else varies the trials lie on one curve.
            mode="lines+markers" if len(one.space) == 1 else "markers",
            line={"color": mark.color, "width": 1, "dash": mark.dash},
            marker={"color": mark.color, "symbol": mark.symbol, "size": 8},
            hovertemplate=f"%{{y:.2f}} {metric}, %{{customdata}}<extra>%{{fullData.name}}</extra>",
        )
    ]
    if one.best is not None:
        made.append(
            go.Scatter(
                **of_arm(arm),
                x=[one.best.settings[name]],
                y=[one.best.test],
                customdata=[_words(one.best)],
                mode="markers",
                marker={
                    "color": mark.color,
                    "symbol": mark.symbol,
                    "size": 15,
                    "line": {"color": "black", "width": 2},
                },
                hovertemplate=f"chosen on tune: %{{y:.2f}} {metric}, %{{customdata}}"
                "<extra>%{fullData.name}</extra>",
                showlegend=False,
            )
        )
    if lost:
        made.append(
            go.Scatter(
                **of_arm(arm),
                x=[trial.settings[name] for trial in lost],
                y=[bottom] * len(lost),
                customdata=[_words(trial) for trial in lost],
                mode="markers",
                marker={"color": mark.color, "symbol": "x-thin", "size": 10, "line": {"width": 2}},
                hovertemplate="diverged: %{customdata}<extra>%{fullData.name}</extra>",
                showlegend=False,
            )
        )
    return made


def _sortable(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _words(trial: Trial) -> str:
    return text(f"trial {trial.number}: {setting_label(trial.settings)}")
