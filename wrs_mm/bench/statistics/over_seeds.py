"""Over seeds: mean, standard deviation, and the paired difference to the baseline.

Two arms that train with the same seed see the same initial weights and the same order of images, so
the difference is taken seed by seed before it is averaged. Its 95 % interval is Student's for the
mean of the paired differences, and there is none from fewer than three seeds: with two the t factor
is 12.7, and an interval that wide tells nobody anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

SETTING = ["recipe", "optimizer", "learning_rate"]
"""Columns within which arms are compared: the same recipe, optimizer and learning rate."""

ARM = [*SETTING, "task", "dataset", "regularizer", "options", "baseline"]
"""Columns that tell arms apart."""

COLUMNS = (
    *ARM,
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
)
"""``checkpoint``: the one measured, ``last`` or ``best``. ``seeds``: runs that are done and have the metric.
``sd``: over them, n − 1; empty for one. ``pairs``: seeds that arm and baseline share. ``difference``: arm
minus baseline, mean over pairs. ``low``, ``high``: its 95 % interval. ``runs``: all with a result;
``diverged``, ``failed`` (with interrupted ones): those of them without metrics."""

MIN_PAIRS = 3
"""Pairs from which on there is an interval."""


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (n − 1); NaN where there are too few values."""
    mean = float(np.mean(values)) if len(values) else math.nan
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return mean, sd


def interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval for the mean of paired differences; NaN below :data:`MIN_PAIRS`."""
    n = len(differences)
    if n < MIN_PAIRS:
        return math.nan, math.nan
    mean, sd = mean_and_sd(differences)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * sd / math.sqrt(n)
    return mean - half, mean + half


def summarize(results: pd.DataFrame, checkpoint: str = "last") -> pd.DataFrame:
    """Summarize ``results.csv`` over seeds.

    Args:
        results: As :func:`wrs_mm.bench.statistics.results.read_results` returns it.
        checkpoint: ``last`` or ``best``. There is no summary of both: the best of a training's
            checkpoints, chosen by the images that it is measured on, is no fair opponent of a last one.

    Returns:
        One row an arm and metric, with :data:`COLUMNS`. An arm of which no run is done has a row
        for each metric that its recipe's other arms have, with empty numbers.
    """
    summary: list[dict[str, Any]] = []
    for _, group in results.groupby(SETTING, sort=True, dropna=False):
        measured = group[
            (group["status"] == "done") & (group["metric"] != "") & (group["checkpoint"] == checkpoint)
        ]
        metrics = sorted(measured["metric"].unique())
        for arm, rows in group.groupby(ARM, sort=True, dropna=False):
            by_run = rows.drop_duplicates("run")["status"]
            counts = {
                "runs": len(by_run),
                "diverged": int((by_run == "diverged").sum()),
                "failed": int(by_run.isin(["failed", "interrupted"]).sum()),
            }
            named = dict(zip(ARM, arm, strict=True))
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
    return pd.DataFrame(summary, columns=list(COLUMNS))


def _by_seed(measured: pd.DataFrame, metric: str, selection: pd.Series) -> dict[int, float]:
    rows = measured[(measured["metric"] == metric) & selection]
    return dict(zip(rows["seed"], rows["value"], strict=True))


def paired(values: dict[int, float], baseline: dict[int, float]) -> dict[str, float]:
    """The numbers of one arm and metric, ``seeds`` to ``high`` of :data:`COLUMNS`; both given by seed."""
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
