"""Differences between arms, paired by recipe and seed, over all recipes of a study; or between recipes.

docs/why.md and the README have what comes out of::

    wrs-mm bench unpack docs/reports/why_per_filter.pack.tar.xz --work-dir work_dirs/why_per_filter
    python tools/why/pooled.py work_dirs/why_per_filter wd
    python tools/why/pooled.py work_dirs/why_per_filter wrs_matched

Recipes have other metrics (mAP, mIoU): what is pooled is points of each's own, each recipe counting the
same, with an interval that holds for these recipes. With --recipes it compares the recipes of a plan that are
one in several variants, arm by arm and over all arms::

    python tools/why/pooled.py work_dirs/transfer_frozen_bn "BN trained" --recipes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pictures import arm_of

from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import main_metric, read_benchmark, without_trials
from wrs_mm.bench.statistics.over_seeds import effect_over, effect_over_groups
from wrs_mm.errors import PlanError, UsageError


def pooled(path: Path, reference: str, compared: str = "arm") -> pd.DataFrame:
    """The mean difference of each arm to one of them, with a 95 % interval over pairs; or of each recipe.

    Args:
        path: A work dir.
        reference: What the others are compared with: an arm, as :func:`~pictures.arm_of` calls it, or a
            recipe.
        compared: ``arm`` or ``recipe``.

    Returns:
        A row for each recipe and arm, and for each that is compared over all of the other (``all``):
        ``recipe``, ``arm``, ``pairs``, ``difference``, ``low`` and ``high`` (NaN for fewer than three pairs).

    Raises:
        PlanError: It is no work dir, or no final run of the reference is done.
    """
    other = "recipe" if compared == "arm" else "arm"
    finals = without_trials(read_benchmark(WorkDir(path)).runs)
    rows = [
        (run.spec.recipe, run.spec.seed, arm_of(run.spec), run.reported.get(main_metric([run]) or "", np.nan))
        for run in finals
    ]
    table = pd.DataFrame(rows, columns=["recipe", "seed", "arm", "metric"])
    metrics = table.pivot(index=[other, "seed"], columns=compared, values="metric")
    if reference not in metrics or metrics[reference].isna().all():
        known = "; ".join(metrics)
        raise PlanError(f"{path} has no final run of {reference} that is done; its {compared}s are: {known}")
    own = metrics.drop(columns=reference).sub(metrics[reference], axis=0).melt(ignore_index=False).dropna()
    own = own.reset_index()
    found = []
    for key, its in own.groupby([other, compared]):
        one = effect_over(list(its.value))
        found.append((*key, one.units, one.value, one.low, one.high))
    for key, its in own.groupby(compared):
        one = effect_over_groups([list(group.value) for _, group in its.groupby(other)])
        found.append(("all", key, one.units, one.value, one.low, one.high))
    return pd.DataFrame(found, columns=[other, compared, "pairs", "difference", "low", "high"])


def main() -> int:
    """Print the table.

    Returns:
        0, or 2 where there is no such study, arm or recipe.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("reference", help="the arm that the others are compared with")
    parser.add_argument("--recipes", action="store_true", help="compare recipes; the reference is one")
    args = parser.parse_args()
    other, compared = ("arm", "recipe") if args.recipes else ("recipe", "arm")
    try:
        table = pooled(args.work_dir, args.reference, compared)
    except UsageError as error:
        print(f"pooled: error: {error}", file=sys.stderr)
        return 2
    print(f"| {other} | {compared} | pairs | Δ to {args.reference} |\n|---|---|--:|--:|")
    for row in table.itertuples():
        bounds = "" if np.isnan(row.low) else f" [{row.low:+.1f}, {row.high:+.1f}]"
        first, second = getattr(row, other), getattr(row, compared)
        print(f"| {first} | {second} | {row.pairs} | {row.difference:+.1f}{bounds} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
