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
from wrs_mm.bench.statistics.logs import training_losses
from wrs_mm.errors import UsageError

PARTS = 8
"""Equal parts of a training over which its loss is averaged; batches are few, and their losses noisy."""


def losses(path: Path) -> pd.DataFrame:
    """The mean training loss in each part of the training, by recipe, arm and the part's last iteration.

    Args:
        path: A work dir.

    Returns:
        A row for each recipe and arm, a column for each part; means over the finals that are done.

    Raises:
        PlanError: It is no work dir.
    """
    work_dir = WorkDir(path)
    rows = []
    for spec in work_dir.listed().runs:
        run = work_dir.run(spec)
        result = run.result()
        if spec.trial is not None or result is None or result.status is not Status.DONE:
            continue
        series = pd.Series(training_losses(run))
        length = series.index.max() / PARTS
        part = ((series.index - 1) // length + 1).astype(int)
        means = series.groupby(part).mean()
        rows.append({"recipe": spec.recipe, "arm": spec.arm_label, **means.to_dict()})
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
