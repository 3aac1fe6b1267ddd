"""WRS that follows weight decay against weight decay, at every setting that a tuning study tried.

Trials of the same number have the same learning rate and weight decay in both arms, so each is a pair, at a
setting that nobody had looked at. docs/why.md has the table and the figure that come out of::

    wrs-mm bench unpack docs/reports/mini_tuning.pack.tar.xz --work-dir work_dirs/mini_tuning
    python tools/why/trials.py work_dirs/mini_tuning docs/img/why_trials.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pictures import FOLLOWERS, arm_of, picture_of_study, pyplot, save

from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import main_metric, read_benchmark
from wrs_mm.bench.statistics.over_seeds import interval
from wrs_mm.errors import PlanError

MOMENTUM = 0.9
"""Of SGD in the recipes."""

STRONG = 1.0
"""From here on weight decay is strong: alone, it would shrink a norm by more than e-fold in the training."""


def pairs(path: Path) -> pd.DataFrame:
    """The trials of weight decay, and of WRS that follows it, on test, side by side.

    Args:
        path: A work dir of a plan with tuning, in whose recipes the learning rate warms up linearly and falls
            to zero as a cosine: over the training it is half its peak.

    Returns:
        A row for each recipe, number and arm that follows: ``lr``, ``weight_decay``, ``strength``
        (Σ lr λ / (1 − momentum)), in percent ``wd``, ``own``, ``none`` and ``difference`` (of the second to
        the first), and ``counted``: whether one of the two is better than no regularization at that learning
        rate. Which of two does less harm is no question.

    Raises:
        PlanError: It is no work dir, or has no such trials.
    """
    trials = [run for run in read_benchmark(WorkDir(path)).runs if run.spec.trial is not None and run.result]
    rows = [
        {
            "recipe": run.spec.recipe,
            "number": run.spec.trial,
            "arm": arm_of(run.spec),
            "metric": run.reported.get(main_metric([run]) or "", np.nan),
        }
        for run in trials
    ]
    missing = {"wd", "none", FOLLOWERS["decay_and_growth_by_layer"]} - {row["arm"] for row in rows}
    if missing:
        raise PlanError(f"{path} has no trials of {min(missing)} that ended; it needs wd, wrs_matched, none")
    settings = {
        (run.spec.recipe, run.spec.trial): {**run.spec.settings, "iterations": run.result.iteration}
        for run in trials
        if run.spec.regularizer == "wd"
    }
    table = pd.DataFrame(rows).pivot(index=["recipe", "number"], columns="arm", values="metric")
    table = table.join(pd.DataFrame.from_dict(settings, orient="index").rename_axis(table.index.names))
    table["strength"] = table.lr / 2 * table.weight_decay * table.iterations / (1 - MOMENTUM)
    followers = [arm for arm in FOLLOWERS.values() if arm in table]
    table = table.reset_index().melt(
        ["recipe", "number", "lr", "weight_decay", "strength", "wd", "none"], followers, "arm", "own"
    )
    table["difference"] = table.own - table.wd
    table["counted"] = table[["wd", "own"]].max(axis=1) > table.none
    return table


def by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """The mean difference under weak and strong weight decay, with a 95 % interval from three settings on.

    Args:
        table: From :func:`pairs`; rows that are counted go in.
    """
    # A trial that diverged, or has not been made, has no difference.
    counted = table[table.counted & table.difference.notna()]
    all_recipes = pd.concat([counted, counted.assign(recipe="both")])
    strong = np.where(all_recipes.strength > STRONG, "above 1", "below 1")
    groups = all_recipes.groupby(["arm", "recipe", strong], sort=False).difference
    found = groups.agg(
        settings="count",
        difference="mean",
        half=lambda own: np.subtract(*interval(list(own))[::-1]) / 2,
    )
    return found.reset_index(names=["arm", "recipe", "sum"])


def draw(work_dir: Path, picture: Path) -> list[str]:
    """The difference at each setting against the strength of weight decay, a panel for each arm.

    Args:
        work_dir: As in :func:`pairs`.
        picture: The file to write.

    Returns:
        The table of :func:`by_strength`.
    """
    table = pairs(work_dir)
    plt = pyplot("trials", font_size=11)
    arms = list(table.groupby("arm", sort=False))
    figure, panels = plt.subplots(
        1,
        len(arms),
        figsize=(2 + 4.4 * len(arms), 4.2),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (arm, its) in zip(panels[0], arms, strict=True):
        axes.axhline(0, color="#888", linewidth=1)
        axes.axvline(1, color="#888", linewidth=1, linestyle=":")
        for (recipe, rows), marker, color in zip(
            its.groupby("recipe"), "os", ("#1f77b4", "#d55e00"), strict=False
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
            title=arm,
        )
    panels[0, 0].set(ylabel="difference to wd, on test")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), fontsize=8, loc="outside upper center")
    save(figure, picture)
    lines = ["| arm | recipe | Σ lr λ / (1 − momentum) | settings | its own − wd |", "|---|---|---|--:|--:|"]
    for row in by_strength(table).itertuples():
        half = "" if np.isnan(row.half) else f" ± {row.half:.1f}"
        lines.append(
            f"| {row.arm} | {row.recipe} | {row.sum} | {row.settings} | {row.difference:+.1f}{half} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(picture_of_study("trials", __doc__, draw))
