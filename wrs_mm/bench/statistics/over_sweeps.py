"""Over a sweep: the best value of an option, and how much is lost one step away from it.

The paper claims that weight decay has to be tuned and weight rescaling has not. What a sweep says about
that is not its best result alone, but how much a neighboring value costs. The best value is chosen by the
images that it is shown on: it flatters an arm the more, the more values it had. Trials are no
points of a sweep.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from wrs_mm.bench.statistics.over_seeds import mean_and_sd, paired
from wrs_mm.bench.statistics.results import is_missing, main_metrics, records, reported
from wrs_mm.values import is_number

_LEARNING_RATE = "learning_rate"
"""The axis that is no option of an arm."""

SWEEP_COLUMNS = (
    *("recipe", "task", "optimizer", "regularizer", "split", "checkpoint", "metric"),
    *("axis", "best", "point"),
    *("seeds", "mean", "sd"),
    *(
        f"{side}_{name}"
        for side in ("below", "above")
        for name in ("value", "loss", "low", "high", "diverged")
    ),
)
"""``axis``: the option that varies, empty for an arm with nothing to tune beside one that has. ``best``: its
best value. ``point``: all values there (JSON). ``mean``, ``sd``: there, over ``seeds``.
``below_value``: the next smaller value of the sweep, empty at its edge; ``below_loss``: best minus that,
mean over shared seeds, with its 95 % interval; ``below_diverged``: runs there that diverged. ``above_…``:
the same for the next larger."""

Point = tuple[tuple[str, float | str | None], ...]
"""Values by axis, sorted."""


def point(row: Mapping[str, Any]) -> Point:
    """Where in its arm's sweep a row of results stands: its options and its learning rate."""
    values = dict(json.loads(row["options"]))
    rate = row[_LEARNING_RATE]
    values[_LEARNING_RATE] = None if is_missing(rate) else float(rate)
    return tuple(sorted((key, _hashable(value)) for key, value in values.items()))


def axes(points: set[Point]) -> dict[str, list[float]]:
    """The axes that take several numbers, and those numbers in order."""
    found: dict[str, set[float]] = {}
    for one in points:
        for key, value in one:
            if is_number(value):
                found.setdefault(key, set()).add(value)
    return {key: sorted(values) for key, values in sorted(found.items()) if len(values) > 1}


def sweeps(results: pd.DataFrame, checkpoint: str = "last") -> pd.DataFrame:
    """The best value of each swept option, and the loss one step away.

    Args:
        results: As :func:`wrs_mm.bench.statistics.results.read_results` returns it.
        checkpoint: ``last`` or ``best``.

    Returns:
        One row an arm and swept option, with :data:`SWEEP_COLUMNS`, in the task's first metric. Empty where
        no arm of any recipe sweeps anything.
    """
    listed: list[dict[str, Any]] = []
    results = reported(results)
    for (recipe, optimizer), group in results.groupby(["recipe", "optimizer"], sort=True):
        measured = group[(group["status"] == "done") & (group["checkpoint"] == checkpoint)]
        task = str(group["task"].iloc[0])
        main = main_metrics(task, set(measured["metric"]))
        if not main:
            continue
        metric = main[0]
        rows = []
        for regularizer, arm in group.groupby("regularizer", sort=True):
            shared: dict[str, Any] = {
                **{"recipe": recipe, "task": task, "optimizer": optimizer, "regularizer": regularizer},
                **{"split": group["split"].iloc[0], "checkpoint": checkpoint, "metric": metric},
            }
            rows += [{**shared, **row} for row in _arm(arm, metric, checkpoint)]
        if any(row["axis"] for row in rows):
            listed += rows
    return pd.DataFrame(listed, columns=list(SWEEP_COLUMNS))


class SweepPoint(NamedTuple):
    """What was measured at one value of a swept option.

    Attributes:
        value: The option's.
        seeds: Runs that are done.
        mean: Over them; NaN without any.
        sd: Over them (n − 1); NaN for fewer than two.
        diverged: Runs that diverged.
    """

    value: float
    seeds: int
    mean: float
    sd: float
    diverged: int


SweptPoints = dict[tuple[str, ...], list[SweepPoint]]
"""What was measured along each swept option, by :func:`sweep_key`."""


def sweep_key(best: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells a row of :func:`sweeps` from the others of all checkpoints."""
    return tuple(best[name] for name in ("checkpoint", "recipe", "optimizer", "regularizer", "axis"))


def swept_points(results: pd.DataFrame, best: pd.DataFrame) -> SweptPoints:
    """What was measured along each swept option.

    Args:
        results: ``results.csv``.
        best: From :func:`sweeps`.
    """
    results = reported(results)
    return {sweep_key(row): along(results, row) for row in records(best) if row["axis"]}


def along(results: pd.DataFrame, best: Mapping[str, Any]) -> list[SweepPoint]:
    """The values of a swept option, all else as at the best point.

    Args:
        results: ``results.csv``.
        best: A row of :func:`sweeps` with an axis.
    """
    own = results[
        (results["recipe"] == best["recipe"])
        & (results["optimizer"] == best["optimizer"])
        & (results["regularizer"] == best["regularizer"])
    ]
    axis, at_best = best["axis"], dict(json.loads(best["point"]))
    rows = records(own)
    points = [point(row) for row in rows]
    found = []
    for step in axes(set(points))[axis]:
        where = tuple(sorted({**at_best, axis: step}.items()))
        here = [row for row, at in zip(rows, points, strict=True) if at == where]
        values = [
            float(row["value"]) for row in here if _is_measured(row, best["metric"], best["checkpoint"])
        ]
        diverged = {row["run"] for row in here if row["status"] == "diverged"}
        found.append(SweepPoint(step, len(values), *mean_and_sd(values), len(diverged)))
    return found


class Step(NamedTuple):
    """A step from the best value of a swept option to the next.

    Attributes:
        value: The option's, there.
        change: That minus the best, in points: what is lost is negative. NaN without shared seeds.
        low: Lower end of the change's 95 % interval; NaN without one.
        high: Its upper end.
        diverged: Runs there that diverged.
    """

    value: float
    change: float
    low: float
    high: float
    diverged: int


def step_from_best(best: Mapping[str, Any], side: str) -> Step | None:
    """The step ``below`` or ``above`` the best value of a row of :func:`sweeps`; None at the sweep's edge."""
    value, loss, low, high, diverged = (
        best[f"{side}_{name}"] for name in ("value", "loss", "low", "high", "diverged")
    )
    return None if is_missing(value) else Step(value, -loss, -high, -low, int(diverged))


def _is_measured(row: Mapping[str, Any], metric: str, checkpoint: str) -> bool:
    return bool(row["status"] == "done" and row["metric"] == metric and row["checkpoint"] == checkpoint)


def _arm(arm: pd.DataFrame, metric: str, checkpoint: str) -> list[dict[str, Any]]:
    """The rows of one arm."""
    values: dict[Point, dict[int, float]] = {}
    diverged: dict[Point, set[str]] = {}
    for row in records(arm):
        where = point(row)
        of_point, lost = values.setdefault(where, {}), diverged.setdefault(where, set())
        if _is_measured(row, metric, checkpoint):
            of_point[int(row["seed"])] = float(row["value"])
        elif row["status"] == "diverged":
            lost.add(str(row["run"]))
    # A value at which some runs diverge is not the best one, whatever the others reach.
    sound = [where for where in values if values[where] and not diverged[where]]
    candidates = sound or [where for where in values if values[where]]
    if not candidates:
        return []
    rows: list[dict[str, Any]] = []
    for axis, steps in axes(set(values)).items():
        # An arm may also be listed without the option, at its default: that is no point of the sweep.
        swept = [where for where in candidates if dict(where).get(axis) in steps]
        if not swept:
            continue
        best = _best(swept, values)
        index = steps.index(float(str(dict(best)[axis])))
        found = {"axis": axis, "best": steps[index], **_at(best, values)}
        for side, neighbor in (("below", index - 1), ("above", index + 1)):
            step = steps[neighbor] if 0 <= neighbor < len(steps) else None
            found |= {f"{side}_{name}": value for name, value in _step(values, diverged, best, axis, step)}
        rows.append(found)
    return rows or [{"axis": "", "best": math.nan, **_at(_best(candidates, values), values)}]


def _best(points: list[Point], values: dict[Point, dict[int, float]]) -> Point:
    return max(points, key=lambda where: sum(values[where].values()) / len(values[where]))


def _at(where: Point, values: dict[Point, dict[int, float]]) -> dict[str, Any]:
    """What was measured at a point."""
    numbers = paired(values[where], {})
    return {"point": json.dumps(dict(where)), **{name: numbers[name] for name in ("seeds", "mean", "sd")}}


def _step(
    values: dict[Point, dict[int, float]],
    diverged: dict[Point, set[str]],
    best: Point,
    axis: str,
    step: float | None,
) -> list[tuple[str, Any]]:
    """What a step from the best point to another value of an axis costs."""
    where = tuple(sorted({**dict(best), axis: step}.items()))
    if step is None or where not in values:
        return [("value", math.nan)]
    loss = paired(values[best], values[where])
    return [
        *(("value", step), ("loss", loss["difference"])),
        *(("low", loss["low"]), ("high", loss["high"]), ("diverged", len(diverged[where]))),
    ]


def _hashable(value: Any) -> float | str | None:
    if is_number(value):
        return float(value)
    return value if value is None else json.dumps(value)
