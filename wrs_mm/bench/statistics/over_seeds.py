"""Over seeds: mean, standard deviation, and the paired difference to the baseline.

Two arms that train with the same seed see the same initial weights and the same order of images, so
the difference is taken seed by seed before it is averaged. Its 95 % interval is Student's for the
mean of the paired differences, and there is none from fewer than three seeds: with two the t factor
is 12.7, and an interval that wide tells nobody anything.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from wrs_mm.bench.statistics.results import reported

SCENARIO = ["recipe", "optimizer", "learning_rate"]
"""Columns within which arms are compared: the parts of a run's ``scenario``, in its order."""

_ARM = [*SCENARIO, "task", "dataset", "regularizer", "options", "settings", "baseline", "split"]
"""Columns that distinguish arms, and the split that is reported."""

SUMMARY_COLUMNS = (
    *_ARM,
    "checkpoint",
    "metric",
    "seeds",
    "mean",
    "sd",
    "pairs",
    "difference",
    "difference_sd",
    "low",
    "high",
    "runs",
    "diverged",
    "failed",
    "interrupted",
)
"""``checkpoint``: the one measured, ``last`` or ``best``. ``seeds``: runs that are done and have the metric.
``sd``: over them, n − 1; empty for one. ``pairs``: seeds that arm and baseline share. ``difference``: arm
minus baseline, mean over pairs. ``low``, ``high``: its 95 % interval. ``runs``: all with a result;
``diverged``, ``failed``, ``interrupted``: those of them without metrics."""

_LOST = ("diverged", "failed", "interrupted")
"""States of runs that have a result and are in no mean."""

MIN_PAIRS = 3
"""Pairs from which on there is an interval."""


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (n − 1); NaN where there are too few values."""
    mean = float(np.mean(values)) if len(values) else math.nan
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return mean, sd


def interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval for the mean of paired differences; NaN below :data:`MIN_PAIRS`."""
    if len(differences) < MIN_PAIRS:
        return math.nan, math.nan
    with warnings.catch_warnings():
        # Where all differences are equal scipy doubts the digits of an interval without width.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.ttest_1samp(differences, 0).confidence_interval(confidence)
    return float(found.low), float(found.high)


class Effect(NamedTuple):
    """A difference, in the unit of what was measured.

    Attributes:
        value: The mean over units; NaN without any.
        low: The lower end of its 95 % interval; NaN for too few units.
        high: The upper end.
        units: How many, seeds or others; of rows that are not paired, in the row with the fewest.
    """

    value: float
    low: float
    high: float
    units: int


def effect_over(differences: Sequence[float]) -> Effect:
    """The mean of paired differences, with Student's interval."""
    return Effect(mean_and_sd(differences)[0], *interval(differences), len(differences))


def effect_over_groups(groups: Sequence[Sequence[float]]) -> Effect:
    """The mean over groups of their mean differences, each counting the same; for these groups alone.

    Each group scatters in its own way (recipes have metrics of their own), so the interval is Welch's: the
    standard errors of the groups' means, and Satterthwaite's degrees of freedom.

    Args:
        groups: Paired differences; of a group without any nothing is counted.

    Returns:
        The effect, without an interval where a group has one difference alone, or all have less than
        :data:`MIN_PAIRS`.
    """
    known = [np.asarray(group, dtype=float) for group in groups if len(group)]
    units = sum(len(group) for group in known)
    value = float(np.mean([group.mean() for group in known])) if known else math.nan
    if units < MIN_PAIRS or min(len(group) for group in known) < 2:
        return Effect(value, math.nan, math.nan, units)
    squares = np.array([group.var(ddof=1) / len(group) for group in known])
    error = math.sqrt(squares.sum()) / len(known)
    if error == 0:
        return Effect(value, value, value, units)
    freedom = squares.sum() ** 2 / sum(
        s**2 / (len(group) - 1) for s, group in zip(squares, known, strict=True)
    )
    half = float(stats.t.ppf(0.975, freedom)) * error
    return Effect(value, value - half, value + half, units)


class Ratio(NamedTuple):
    """A factor, with its 95 % interval over seeds.

    Attributes:
        value: The mean over seeds; NaN without any.
        low: The lower end; NaN for too few seeds.
        high: The upper end.
        seeds: How many.
    """

    value: float
    low: float
    high: float
    seeds: int


def ratio_over_seeds(logarithms: Sequence[float]) -> Ratio:
    """The factor whose logarithm seeds have measured: Student's interval of their mean, taken back."""
    known = [value for value in logarithms if not math.isnan(value)]
    low, high = interval(known)
    center = math.exp(float(np.mean(known))) if known else math.nan
    return Ratio(center, math.exp(low), math.exp(high), len(known))


def summarize(results: pd.DataFrame, checkpoint: str = "last") -> pd.DataFrame:
    """Summarize ``results.csv`` over seeds: the runs that are no trial, on the split that they report.

    Args:
        results: As :func:`wrs_mm.bench.statistics.results.read_results` returns it.
        checkpoint: ``last`` or ``best``. There is no summary of both: the best of a training's
            checkpoints, chosen by the images that it is measured on, is no fair opponent of a last one.

    Returns:
        One row an arm and metric, with :data:`SUMMARY_COLUMNS`. An arm of which no run is done has a row
        for each metric that its recipe's other arms have, with empty numbers.
    """
    summary: list[dict[str, Any]] = []
    results = reported(results)
    for _, group in results.groupby(SCENARIO, sort=True, dropna=False):
        measured = group[
            (group["status"] == "done") & (group["metric"] != "") & (group["checkpoint"] == checkpoint)
        ]
        metrics = sorted(measured["metric"].unique())
        for arm, rows in group.groupby(_ARM, sort=True, dropna=False):
            by_run = rows.drop_duplicates("run")["status"]
            counts = {"runs": len(by_run), **{state: int((by_run == state).sum()) for state in _LOST}}
            named = dict(zip(_ARM, arm, strict=True))
            for metric in metrics or [""]:
                values = _by_seed(measured, metric, measured["run"].isin(rows["run"]))
                baseline = _by_seed(measured, metric, measured["baseline"])
                summary.append(
                    {
                        **named,
                        "checkpoint": checkpoint,
                        "metric": metric,
                        **paired(values, {} if named["baseline"] else baseline),
                        **counts,
                    }
                )
    return pd.DataFrame(summary, columns=list(SUMMARY_COLUMNS))


def _by_seed(measured: pd.DataFrame, metric: str, selection: pd.Series) -> dict[int, float]:
    rows = measured[(measured["metric"] == metric) & selection]
    return dict(zip(rows["seed"], rows["value"], strict=True))


def paired(values: dict[int, float], baseline: dict[int, float]) -> dict[str, float]:
    """One arm and metric, ``seeds`` to ``high`` of :data:`SUMMARY_COLUMNS`; both given by seed."""
    shared = sorted(values.keys() & baseline.keys())
    differences = [values[seed] - baseline[seed] for seed in shared]
    mean, sd = mean_and_sd(list(values.values()))
    difference, difference_sd = mean_and_sd(differences)
    low, high = interval(differences)
    return {
        "seeds": len(values),
        "mean": mean,
        "sd": sd,
        "pairs": len(shared),
        "difference": difference,
        "difference_sd": difference_sd,
        "low": low,
        "high": high,
    }


def reach(row: Mapping[str, Any]) -> tuple[float, float]:
    """How far a row's interval reaches below and above its difference; NaN without an interval."""
    return row["difference"] - row["low"], row["high"] - row["difference"]


def runs_by_state(row: Mapping[str, Any]) -> dict[str, int]:
    """How many runs of a summary's row are done, and in each other state that some are in."""
    lost = {state: int(row[state]) for state in _LOST if row[state]}
    return {"done": int(row["runs"]) - sum(lost.values()), **lost}


def best_means(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """The best mean of each recipe and metric that several rows of a summary have."""
    means: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if not math.isnan(row["mean"]):
            means.setdefault((row["recipe"], row["metric"]), []).append(row["mean"])
    return {key: max(values) for key, values in means.items() if len(values) > 1}


class ArmVerdict(StrEnum):
    """How an arm stands to the baseline."""

    BETTER = "better"
    WORSE = "worse"
    NOT_TOLD_APART = "not told apart"
    TOO_FEW_SEEDS = "too few seeds"


def verdict(low: float, high: float) -> ArmVerdict:
    """What an interval of a difference says; NaN is none: there are too few seeds for one."""
    if math.isnan(low):
        return ArmVerdict.TOO_FEW_SEEDS
    if low > 0:
        return ArmVerdict.BETTER
    return ArmVerdict.WORSE if high < 0 else ArmVerdict.NOT_TOLD_APART
