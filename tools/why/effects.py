"""How well each arm did, against how far its filters turned in training: a picture, and the numbers in it.

docs/results.md has what comes out of::

    wrs-mm bench unpack docs/reports/dynamics.pack.tar.xz --work-dir work_dirs/dynamics
    python tools/why/effects.py work_dirs/dynamics docs/img/dynamics_effects.svg
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from pictures import picture_of_study, pyplot, save

from wrs_mm.bench.report.labels import NONE, bracket, factor, factors, number
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import (
    RunData,
    by_arm,
    by_scenario,
    in_arm_order,
    main_metric,
    read_benchmark,
    without_trials,
)
from wrs_mm.bench.statistics.dynamics import watched_runs
from wrs_mm.bench.statistics.over_seeds import Effect, Ratio, effect_over, effect_over_groups, mean_and_sd
from wrs_mm.bench.statistics.sharpness import LastSharpness, last_sharpness, sharp_runs
from wrs_mm.bench.statistics.weights import ArmWeights, arm_weights
from wrs_mm.errors import PlanError

_TICKS = (0.25, 0.5, 1, 2, 4, 8, 16)

_NAMES = (("right", (-5, 4)), ("left", (5, -11)), ("right", (-5, -11)), ("left", (5, 4)))
"""Where names stand beside their points, one after the other, so that neighbours do not overlap."""


class ArmEffect(NamedTuple):
    """An arm on a recipe.

    Attributes:
        weights: What it did to the weights.
        metric: On the reported split, percent: mean and standard deviation over seeds.
        differences: To the baseline, of each seed that both have.
        gain: Their mean, with its 95 % interval.
        diverged: How many of its runs did.
        sharpness: Over the edge of stability; None where it was not measured.
    """

    weights: ArmWeights
    metric: tuple[float, float]
    differences: list[float]
    gain: Effect
    diverged: int
    sharpness: LastSharpness | None


def effects(path: Path) -> dict[str, list[ArmEffect]]:
    """By recipe, each arm.

    Args:
        path: A work dir of a plan with ``dynamics``.

    Raises:
        PlanError: It is no work dir, or no run of it has been watched.
    """
    runs = in_arm_order(without_trials(read_benchmark(WorkDir(path), details=True).runs))
    found = {}
    for group in by_scenario(runs):
        watched = watched_runs(group)
        if watched.runs:
            sharp = {one.arm: one for one in last_sharpness(sharp_runs(group))}
            rows = arm_weights(group, watched)
            found[group[0].spec.recipe] = [_effect(row, group, sharp.get(row.arm)) for row in rows]
    if not found:
        raise PlanError(f"no run of {path} has been watched: its plan needs `dynamics`")
    return found


def _effect(row: ArmWeights, group: list[RunData], sharpness: LastSharpness | None) -> ArmEffect:
    own = by_arm(group)[row.arm]
    metrics = _metrics(own)
    baseline = _metrics(run for run in group if run.spec.baseline)
    shared = sorted(metrics.keys() & baseline.keys())
    apart = [metrics[seed] - baseline[seed] for seed in shared]
    diverged = sum(run.status is Status.DIVERGED for run in own)
    metric = mean_and_sd(list(metrics.values()))
    return ArmEffect(row, metric, apart, effect_over(apart), diverged, sharpness)


def _metrics(runs: Iterable[RunData]) -> dict[int, float]:
    """By seed, of the runs that are done."""
    own = list(runs)
    metric = main_metric(own) or ""
    return {run.spec.seed: run.reported[metric] for run in own if metric in run.reported}


def draw(work_dir: Path, picture: Path) -> list[str]:
    """A panel for each recipe, a point for each arm.

    Args:
        work_dir: As in :func:`effects`.
        picture: The file to write.

    Returns:
        A table for each recipe.
    """
    found = effects(work_dir)
    plt = pyplot("effects", font_size=9)
    columns = min(2, len(found))
    count = math.ceil(len(found) / columns)
    figure, axes = plt.subplots(
        count, columns, figsize=(5.4 * columns, 3.5 * count), squeeze=False, layout="constrained", sharex=True
    )
    for axis, (recipe, rows) in zip(axes.flat, found.items(), strict=False):
        axis.axhline(0, color="0.8", linewidth=0.8)
        points = [
            (1.0, 0.0, row) if row.weights.is_baseline else (row.weights.turn.value, row.gain.value, row)
            for row in rows
        ]
        known = [point for point in points if not math.isnan(point[0] + point[1])]
        for (turn, gain, row), (side, at) in zip(
            sorted(known, key=lambda one: one[0]), cycle(_NAMES), strict=False
        ):
            if not math.isnan(row.gain.low):
                axis.plot([turn, turn], [row.gain.low, row.gain.high], color="0.55", linewidth=1)
            axis.plot(turn, gain, "o", color="black", markersize=4)
            axis.annotate(
                _short(row.weights.arm), (turn, gain), textcoords="offset points", xytext=at, ha=side
            )
        axis.set(title=recipe, xscale="log")
        axis.margins(x=0.25, y=0.15)  # room for the names
        axis.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        axis.minorticks_off()
        axis.grid(visible=True, color="0.93")
    for axis in axes[-1]:
        axis.set_xlabel("angular update, of the baseline's")
    for row in axes:
        row[0].set_ylabel("points to the baseline")
    for axis in list(axes.flat)[len(found) :]:
        axis.set_visible(False)
    save(figure, picture)
    plt.close(figure)
    return [*(line for recipe, rows in found.items() for line in _table(recipe, rows)), *_pooled(found)]


def _short(arm: str) -> str:
    """An arm without the name of its option."""
    return arm.replace("weight_decay=", "")


def _table(recipe: str, rows: list[ArmEffect]) -> list[str]:
    columns = ("metric", "Δ", "norm", "effective rate", "turn", "noise, %, Δ", "sharpness", "on the sphere")
    lines = [f"\n| {recipe} | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]
    return [*lines, *(f"| {_short(row.weights.arm)} | {' | '.join(_cells(row))} |" for row in rows)]


def _pooled(found: dict[str, list[ArmEffect]]) -> list[str]:
    """Arm by arm over all recipes, in points of each one's own metric; without runs that diverged."""
    pairs: dict[str, list[list[float]]] = {}
    for row in (row for rows in found.values() for row in rows if not row.weights.is_baseline):
        pairs.setdefault(row.weights.arm, []).append(row.differences)
    lines = ["\n| all recipes | pairs | Δ |", "|---|--:|--:|"]
    effects = {arm: effect_over_groups(own) for arm, own in pairs.items()}
    return [*lines, *(f"| {_short(arm)} | {one.units} | {_gain(one)} |" for arm, one in effects.items())]


def _gain(one: Effect) -> str:
    return (
        ""
        if math.isnan(one.value)
        else f"{number(one.value, sign=True)} {bracket(one.low, one.high)}".strip()
    )


def _cells(row: ArmEffect) -> list[str]:
    own, base = row.weights, row.weights.is_baseline
    mean, sd = row.metric
    metric = "" if math.isnan(mean) else f"{number(mean)} ± {number(sd)}"
    metric = ", ".join(filter(None, [metric, f"{row.diverged} diverged" if row.diverged else ""]))
    noise = NONE if math.isnan(own.noise_end[0]) else f"{100 * own.noise_end[0]:.1f}"
    if not base and not math.isnan(own.noise.value):
        noise += f", {_gain(Effect(*(100 * value for value in own.noise[:3]), own.noise.units))}"
    edges = row.sharpness.ratios if row.sharpness else [Ratio(math.nan, math.nan, math.nan, 0)] * 2
    return [
        metric,
        "" if base else _gain(row.gain),
        _ratio(own.norm),
        "1" if base else _ratio(own.rate),
        "1" if base else _ratio(own.turn),
        noise,
        *map(_ratio, edges),
    ]


def _ratio(one: Ratio) -> str:
    return f"{factor(one.value)} {factors(one.low, one.high)}".strip()


def main() -> int:
    """Draw the picture and print the tables."""
    return picture_of_study("effects", __doc__, draw)


if __name__ == "__main__":
    sys.exit(main())
