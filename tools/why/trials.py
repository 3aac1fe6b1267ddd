"""WRS that follows weight decay against weight decay, at every setting that a tuning study tried.

Trials of the same number have the same learning rate and weight decay in both arms, so each is a pair, at a
setting that nobody had looked at. docs/why.md has the table and the figure that come out of::

    wrs-mm bench unpack docs/reports/mini_tuning.pack.tar.xz --work-dir work_dirs/mini_tuning
    python tools/why/trials.py work_dirs/mini_tuning docs/img/why_trials.svg
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import main_metric, read_benchmark
from wrs_mm.bench.statistics.over_seeds import interval
from wrs_mm.errors import PlanError, UsageError
from wrs_mm.files import write_bytes
from wrs_mm.values import one_line

ARMS = ("wd", "wrs_matched", "none")
"""The two that are compared, and what one of them has to be better than."""

MOMENTUM = 0.9
"""Of SGD in the recipes."""

STRONG = 1.0
"""From here on weight decay is strong: alone, it would shrink a norm by more than e-fold in the training."""


def pairs(path: Path) -> pd.DataFrame:
    """The trials of ``wd`` and ``wrs_matched`` on test, side by side.

    Args:
        path: A work dir of a plan with tuning, in whose recipes the learning rate warms up linearly and falls
            to zero as a cosine: over the training it is half its peak.

    Returns:
        A row for each recipe and number: ``lr``, ``weight_decay``, ``strength`` (Σ lr λ / (1 − momentum)),
        in percent ``wd``, ``wrs_matched``, ``none`` and ``difference`` (of the second to the first), and
        ``counted``: whether one of the two is better than no regularization at that learning rate. Which of
        two does less harm is no question.

    Raises:
        PlanError: It is no work dir, or has no such trials.
    """
    trials = [run for run in read_benchmark(WorkDir(path)).runs if run.spec.trial is not None and run.result]
    missing = {*ARMS} - {run.spec.regularizer for run in trials}
    if missing:
        raise PlanError(f"{path} has no trials of {min(missing)} that ended; it needs {', '.join(ARMS)}")
    rows = [
        {
            "recipe": run.spec.recipe,
            "number": run.spec.trial,
            "arm": run.spec.regularizer,
            "metric": run.reported.get(main_metric([run]) or "", np.nan),
        }
        for run in trials
    ]
    settings = {
        (run.spec.recipe, run.spec.trial): {**run.spec.settings, "iterations": run.result.iteration}
        for run in trials
        if run.spec.regularizer == "wd"
    }
    table = pd.DataFrame(rows).pivot(index=["recipe", "number"], columns="arm", values="metric")
    table = table.join(pd.DataFrame.from_dict(settings, orient="index").rename_axis(table.index.names))
    table["strength"] = table.lr / 2 * table.weight_decay * table.iterations / (1 - MOMENTUM)
    table["difference"] = table.wrs_matched - table.wd
    table["counted"] = table[["wd", "wrs_matched"]].max(axis=1) > table.none
    return table.reset_index()


def by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """The mean difference under weak and strong weight decay, with a 95 % interval from three settings on.

    Args:
        table: From :func:`pairs`; rows that are counted go in.
    """
    counted = table[table.counted]
    all_recipes = pd.concat([counted, counted.assign(recipe="both")])
    strong = np.where(all_recipes.strength > STRONG, "above 1", "below 1")
    groups = all_recipes.groupby(["recipe", strong], sort=False).difference
    found = groups.agg(
        settings="count",
        difference="mean",
        half=lambda own: np.subtract(*interval(list(own.dropna()))[::-1]) / 2,
    )
    return found.reset_index(names=["recipe", "sum"])


def draw(table: pd.DataFrame, picture: Path) -> None:
    """The difference at each setting against the strength of weight decay."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "trials", "font.size": 11})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    axes.axhline(0, color="#888", linewidth=1)
    axes.axvline(1, color="#888", linewidth=1, linestyle=":")
    for (recipe, rows), marker, color in zip(
        table.groupby("recipe"), "os", ("#1f77b4", "#d55e00"), strict=False
    ):
        for counted, face in ((True, color), (False, "none")):
            shown = rows[rows.counted == counted]
            label = recipe.split("/")[-1] + ("" if counted else ", none is better than both")
            axes.plot(
                shown.strength, shown.difference, marker, color=color, markerfacecolor=face, label=label
            )
    axes.set(
        xscale="log",
        xlabel="strength of weight decay, Σ lr λ / (1 − momentum)",
        ylabel="wrs_matched − wd, on test",
    )
    figure.legend(fontsize=8, loc="outside upper center")
    written = io.BytesIO()
    kind = picture.suffix[1:]
    figure.savefig(written, format=kind, metadata={"Date": None} if kind == "svg" else {})
    write_bytes(picture, written.getvalue())


def main() -> int:
    """Print the table, and draw.

    Returns:
        0, or 2 where there is no such study.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("picture", type=Path, help="the file to write: .svg or .png")
    args = parser.parse_args()
    try:
        table = pairs(args.work_dir)
        draw(table, args.picture)
    except (UsageError, OSError, ValueError) as error:
        print(f"trials: error: {one_line(error)}", file=sys.stderr)
        return 2
    print("| recipe | Σ lr λ / (1 − momentum) | settings | wrs_matched − wd |\n|---|---|--:|--:|")
    for row in by_strength(table).itertuples():
        half = "" if np.isnan(row.half) else f" ± {row.half:.1f}"
        print(f"| {row.recipe} | {row.sum} | {row.settings} | {row.difference:+.1f}{half} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
