"""How the training loss of a study's final runs fell: a table for docs/studies.md.

For example of a study in a pack::

    wrs-mm bench unpack docs/reports/mini_tuning.pack.tar.xz --work-dir work_dirs/mini_tuning
    python tools/why/losses.py work_dirs/mini_tuning
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import read_benchmark, without_trials
from wrs_mm.errors import PlanError, UsageError

PARTS = 8
"""Equal parts of a training over which its loss is averaged; batches are few, and their losses noisy."""


def losses(path: Path) -> pd.DataFrame:
    """The mean training loss in each part of the training, by recipe, arm and the part's last iteration.

    Args:
        path: A work dir.

    Returns:
        A row for each recipe and arm, a column for each part; means over the finals that are done.

    Raises:
        PlanError: It is no work dir, or no final run in it is done.
    """
    rows = []
    for run in without_trials(read_benchmark(WorkDir(path), details=True).runs):
        if run.status is Status.DONE and run.losses:
            series = pd.Series(run.losses)
            length = series.index.max() / PARTS
            part = ((series.index - 1) // length + 1).astype(int)
            means = series.groupby(part).mean()
            rows.append({"recipe": run.spec.recipe, "arm": run.spec.arm_label, **means.to_dict()})
    if not rows:
        raise PlanError(f"no final run in {path} is done")
    return pd.DataFrame(rows).groupby(["recipe", "arm"], sort=False).mean()


def main() -> int:
    """Print the table.

    Returns:
        0, or 2 where there is no study.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    try:
        table = losses(parser.parse_args().work_dir)
    except UsageError as error:
        print(f"losses: error: {error}", file=sys.stderr)
        return 2
    columns = [f"{part}/{PARTS}" for part in table.columns]
    print("| recipe | arm |", " | ".join(columns), "|")
    print("|---|---|", "|".join("--:" for _ in columns), "|", sep="")
    for (recipe, arm), row in table.iterrows():
        print(f"| {recipe} | {arm} |", " | ".join(f"{loss:.2f}" for loss in row), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
