"""``images.csv``: intervals over images between the runs of a benchmark, from their predictions.

Each run is compared with the baseline's of the same recipe, optimizer, learning rate and seed. Thousands of
resamples take a while at the size of COCO: what an earlier report found is taken over as long as the
predictions are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from wrs_mm.bench.statistics.bootstrap import paired_bootstrap
from wrs_mm.bench.statistics.evaluations import EvaluatedRun, Evaluation
from wrs_mm.bench.statistics.results import options_json, records
from wrs_mm.files import write_text

IMAGE_COLUMNS = (
    *("recipe", "task", "optimizer", "learning_rate", "regularizer", "options", "seed", "split", "metric"),
    *("value", "baseline_value", "difference", "low", "high", "images", "resamples", "run", "baseline_run"),
    "fingerprint",
)
"""``value``, ``baseline_value``: of the last checkpoints, unrounded. ``low``, ``high``: the percentile
bootstrap's 95 % interval of the difference over ``images``. ``fingerprint``: of both runs' predictions."""

_RESAMPLES = 1000
"""Bootstrap resamples of a report."""


def image_intervals(
    evaluated: Iterable[EvaluatedRun],
    known: pd.DataFrame,
    resamples: int = _RESAMPLES,
    announce: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Compare each run with its baseline.

    Args:
        evaluated: From :func:`wrs_mm.bench.statistics.evaluations.evaluated_runs`.
        known: What an earlier call returned, or :func:`read_intervals`.
        resamples: Bootstrap resamples.
        announce: Gets a line on each comparison that takes resamples, before it begins.

    Returns:
        One row a pair of runs and metric, with :data:`IMAGE_COLUMNS`.
    """
    runs = list(evaluated)
    baselines = {(one.spec.scenario, one.spec.seed): one for one in runs if one.spec.baseline}
    rows: list[dict[str, Any]] = []
    for one in runs:
        other = baselines.get((one.spec.scenario, one.spec.seed))
        if one.spec.baseline or other is None:
            continue
        for evaluation in one.evaluations:
            opponent = next((e for e in other.evaluations if e.prefix == evaluation.prefix), None)
            if opponent is None:
                continue
            fingerprint = f"{evaluation.fingerprint[:16]}-{opponent.fingerprint[:16]}"
            before = known[
                (known["run"] == one.spec.id)
                & (known["baseline_run"] == other.spec.id)
                & (known["fingerprint"] == fingerprint)
                & (known["resamples"] == resamples)
            ]
            if len(before):
                rows += records(before)
                continue
            announce(f"{one.spec.id}: {resamples} resamples of its images")
            rows += _compare(one, other, evaluation, opponent, resamples, fingerprint)
    frame = pd.DataFrame(rows, columns=list(IMAGE_COLUMNS))
    frame["learning_rate"] = pd.to_numeric(frame["learning_rate"])
    return frame


def _compare(
    one: EvaluatedRun,
    other: EvaluatedRun,
    mine: Evaluation,
    theirs: Evaluation,
    resamples: int,
    fingerprint: str,
) -> list[dict[str, Any]]:
    found = paired_bootstrap(mine.found, theirs.found, resamples=resamples)
    values, baseline_values = mine.metrics(), theirs.metrics()
    spec = one.spec
    names = sorted(found, key=len)
    return [
        {
            **{"recipe": spec.recipe, "task": one.task, "optimizer": spec.optimizer_label},
            **{"learning_rate": spec.learning_rate, "regularizer": spec.regularizer},
            **{"options": options_json(spec.options), "seed": spec.seed},
            **{"split": spec.split, "metric": mine.prefix + name, "value": values[mine.prefix + name]},
            **{"baseline_value": baseline_values[mine.prefix + name], "difference": found[name].value},
            **{"low": found[name].low, "high": found[name].high, "images": len(mine.found.image_ids)},
            **{"resamples": resamples, "run": spec.id, "baseline_run": other.spec.id},
            "fingerprint": fingerprint,
        }
        for name in names
    ]


def without_zero(rows: Iterable[Mapping[str, Any]]) -> int:
    """In how many rows the interval leaves out 0."""
    return sum(row["low"] > 0 or row["high"] < 0 for row in rows)


def read_intervals(path: Path) -> pd.DataFrame:
    """Read ``images.csv``; no rows where it is missing or of another version."""
    text = ["recipe", "task", "optimizer", "regularizer", "options", "split", "metric", "run"]
    try:
        frame = pd.read_csv(
            path, dtype=dict.fromkeys([*text, "baseline_run", "fingerprint"], str), keep_default_na=False
        )
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return pd.DataFrame(columns=list(IMAGE_COLUMNS))
    if list(frame.columns) != list(IMAGE_COLUMNS):
        return pd.DataFrame(columns=list(IMAGE_COLUMNS))
    frame["learning_rate"] = pd.to_numeric(frame["learning_rate"])
    return frame


def write_intervals(frame: pd.DataFrame, path: Path) -> None:
    """Write ``images.csv``: numbers with all digits."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))
