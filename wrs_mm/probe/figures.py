"""The pictures of a probe, as PNG files; the same findings make the same files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from wrs_mm.files import write_bytes
from wrs_mm.probe.findings import ArmNoise, Growth, Orthogonality, largest
from wrs_mm.probe.weight_noise import Noise

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f")
"""Okabe and Ito's, as in the report."""

_LINES = ("-", "--", "-.", ":")

_MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def draw_orthogonality(found: Orthogonality, picture: Path) -> None:
    """Cosines weight by weight; growth that is measured against growth that is predicted."""
    figure, (left, right) = _panels()
    for index, (label, values) in enumerate(
        (
            ("as the network is", [its.cosines for its in found.weights]),
            ("ε → 0", [its.cosines_without_eps for its in found.weights]),
        )
    ):
        color = _COLORS[index]
        for place, cosines in enumerate(values):
            left.plot([place] * len(cosines), cosines, ".", color=color, markersize=2, rasterized=True)
        most = [largest(cosines) for cosines in values]
        left.plot(
            range(len(most)), most, _MARKERS[index], color=color, markersize=4, label=f"{label}, largest"
        )
    left.axhline(1, color="#888", linewidth=1)
    left.set(
        yscale="log",
        ylim=(1e-17, 3),
        xlabel="scale-invariant weight, from input to output",
        ylabel="|⟨w, ∇L⟩| / (‖w‖ ‖∇L‖) of each filter",
    )
    left.legend()
    predicted, measured = (np.where(values > 1e-14, values, np.nan) for values in found.grown)
    right.plot(predicted, measured, ".", color=_COLORS[0], markersize=2, rasterized=True)
    ends = [np.nanmin(predicted), np.nanmax(predicted)]
    right.plot(ends, ends, color=_COLORS[1], linewidth=1, label="equal")
    right.set(
        xscale="log",
        yscale="log",
        xlabel="predicted: η²‖∇L‖² / ‖w‖²",
        ylabel="measured: ‖w'‖² / ‖w‖² − 1",
    )
    right.legend()
    _save(figure, picture)


def draw_growth(found: Growth, picture: Path) -> None:
    """Growth over a fixed time by learning rate; with momentum, growth update by update."""
    figure, (left, right) = _panels()
    lines = (("SGD, ε → 0", found.sgd), ("SGD", found.sgd_with_eps), ("Adam, ε → 0", found.adam))
    for index, (label, its) in enumerate(lines):
        shares = np.array(its.rates) / its.rates[0]
        style = {"linestyle": "--"} if index == 1 else {}
        left.plot(
            shares, its.growth, _MARKERS[index], color=_COLORS[index], label=label, markersize=5, **style
        )
    first = found.sgd.growth[-1] / (found.sgd.rates[-1] / found.sgd.rates[0])
    shares = np.array(found.sgd.rates) / found.sgd.rates[0]
    left.plot(shares, first * shares, color="#888", linewidth=1, label="linear in η")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate, as a share of the largest",
        ylabel="growth of ‖w‖² over a fixed time",
    )
    left.set_xticks(shares, [f"1/{round(1 / share)}" if share < 1 else "1" for share in shares], minor=False)
    left.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    left.legend()
    momentum = found.momentum
    updates = np.arange(1, len(momentum.measured) + 1)
    right.plot(updates, momentum.measured, color=_COLORS[0], label="measured")
    right.plot(
        updates, momentum.uncorrelated, "--", color=_COLORS[1], label="(η / (1 − α))² ‖∇L‖², uncorrelated"
    )
    right.set(
        xlabel=f"update, SGD with momentum {momentum.momentum:g}", ylabel="growth of ‖w‖²", ylim=(0, None)
    )
    right.legend()
    _save(figure, picture)


def draw_noise(found: Sequence[ArmNoise], picture: Path) -> None:
    """Rank while patches are seen; in the layer that has most outside, its course and each filter's share."""
    figure, (left, right, shares) = _panels(3)
    for index, its in enumerate(found[0].layers):
        seen, ranks = zip(*found[0].ranks[its.layer], strict=True)
        left.plot(
            np.array(seen) / its.size,
            np.array(ranks) / its.size,
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=4,
            color=_COLORS[index % len(_COLORS)],
            label=its.layer.removesuffix(".weight"),
        )
    ends = np.array(left.get_xlim())
    bound = np.append(np.geomspace(max(ends[0], 1e-2), 1, 200), max(ends[1], 2))
    left.plot(
        bound, np.minimum(bound, 1), color="#888", linewidth=1, linestyle=":", label="as many as can be"
    )
    left.set(
        xscale="log",
        xlabel="patches seen / size of a filter",
        ylabel="rank / size of a filter",
        ylim=(0, 1.05),
    )
    left.legend(fontsize=7, loc="lower right")
    most = max(range(len(found[0].layers)), key=lambda i: fmean(found[0].layers[i].shares_start))
    arms = [(arm.arm, arm.layers[most]) for arm in found]
    _draw_courses(right, arms)
    _draw_shares(shares, arms)
    for panel in (right, shares):
        panel.set_title(arms[0][1].layer.removesuffix(".weight"), fontsize=9)
    _save(figure, picture)


def _draw_courses(panel: Any, arms: Sequence[tuple[str, Noise]]) -> None:
    """The norm of the part outside, update by update."""
    for index, (arm, its) in enumerate(arms):
        if not its.course:
            continue
        color = _COLORS[index % len(_COLORS)]
        updates = np.arange(len(its.course))
        panel.plot(updates, its.course, _MARKERS[index % len(_MARKERS)], color=color, markersize=4, label=arm)
        if its.predicted:
            panel.plot(updates, its.predicted, color=color, linewidth=1)
    panel.set(xlabel="update", ylabel="norm outside the span, by that at the start")
    if panel.lines:
        panel.legend(title="points measured, lines predicted", fontsize=8, title_fontsize=8)
    else:
        panel.text(0.5, 0.5, "nothing lies outside", ha="center", transform=panel.transAxes)


def _draw_shares(panel: Any, arms: Sequence[tuple[str, Noise]]) -> None:
    """How each filter's share of energy outside is distributed, at the start and after training."""

    def draw(shares: Sequence[float], **look: Any) -> None:
        panel.ecdf(100 * np.array(shares), **look)

    draw(arms[0][1].shares_start, color="#888", linewidth=3, alpha=0.5, label="start")
    for index, (arm, its) in enumerate(arms):
        look = {"color": _COLORS[index % len(_COLORS)], "linestyle": _LINES[index % len(_LINES)]}
        draw(its.shares_end, linewidth=1, label=arm, **look)
    panel.set(xlabel="% of a filter's energy outside the span", ylabel="share of filters with at most that")
    panel.legend(fontsize=8)


def _panels(number: int = 2) -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with plt.rc_context({"font.size": 9}):
        return plt.subplots(1, number, figsize=(4.8 * number, 3.6), layout="constrained")


def _save(figure: Any, picture: Path) -> None:
    from matplotlib import pyplot as plt

    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    write_bytes(picture, content.getvalue())
