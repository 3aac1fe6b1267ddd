"""``results.csv``: one row a run, split, metric and checkpoint, from the runs' results.

The rows are sorted and the text does not depend on the order in which runs ended.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from wrs_mm.bench.plan.spec import RunSpec, arm_label
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.runs.records import Result
from wrs_mm.errors import PlanError
from wrs_mm.files import write_text

RESULT_COLUMNS = (
    "recipe",
    "task",
    "dataset",
    "regularizer",
    "options",
    "settings",
    "optimizer",
    "learning_rate",
    "cfg_options",
    "baseline",
    "seed",
    "trial",
    "status",
    "split",
    "metric",
    "value",
    "checkpoint",
    "iteration",
    "seconds",
    "threads",
    "device",
    "config_hash",
    "reason",
    "run",
)
"""``options``, ``settings`` and ``cfg_options`` are JSON; ``optimizer`` is ``recipe`` or a name, with its
options in brackets; ``learning_rate`` is the scenario's, empty where it is the recipe's: an arm may have
another ``lr`` among its settings; ``baseline`` says whether the row's arm is the one to compare with;
``trial`` is empty for a run that is none; ``split`` is where ``value``, in percent, was measured, ``tune`` or
``test``;
``checkpoint`` is ``last`` or, on tune, ``best``: the validation that was best by the metric that the recipe
saves its best checkpoint by; ``iteration`` is the updates done then; ``seconds`` is wall time. A run without
metrics has a row for each split that it was to be measured on, ``last``, without metric and value."""

_SORT = [
    *("recipe", "optimizer", "learning_rate", "regularizer", "options", "trial", "seed", "split"),
    *("checkpoint", "metric"),
]


def rows(spec: RunSpec, result: Result) -> list[dict[str, Any]]:
    """The rows of one run."""
    shared = {
        "recipe": spec.recipe,
        "task": result.task,
        "dataset": result.dataset,
        "regularizer": spec.regularizer,
        "options": options_json(spec.options),
        "settings": options_json(spec.settings),
        "optimizer": arm_label(spec.optimizer, spec.optimizer_options),
        "learning_rate": spec.learning_rate,
        "cfg_options": options_json(spec.cfg_options),
        "baseline": spec.baseline,
        "seed": spec.seed,
        "trial": spec.trial,
        "status": result.status.value,
        "seconds": result.seconds,
        "threads": result.threads,
        "device": result.device,
        "config_hash": result.config_hash,
        "reason": result.reason or "",
        "run": spec.id,
    }
    measured = {"tune": result.metrics} | ({"test": result.test} if spec.split == "test" else {})
    listed = [
        {**shared, **row, "split": split, "checkpoint": "last", "iteration": result.iteration}
        for split, metrics in measured.items()
        for row in _metric_rows(metrics or {"": None})
    ]
    if result.metrics and result.best is not None:
        best = {**shared, "split": "tune", "checkpoint": "best", "iteration": result.best.iteration}
        listed += [{**best, **row} for row in _metric_rows(result.best.metrics)]
    return listed


def _metric_rows(metrics: Mapping[str, float | None]) -> list[dict[str, Any]]:
    return [{"metric": name, "value": value} for name, value in metrics.items()]


def options_json(options: Mapping[str, Any]) -> str:
    """Options as a table holds them: JSON, the same text in whatever order they were given."""
    return json.dumps(options, sort_keys=True, ensure_ascii=False)


def gather(pairs: Iterable[tuple[RunSpec, Result]]) -> pd.DataFrame:
    """All rows, sorted, with :data:`RESULT_COLUMNS`."""
    listed = [row for spec, result in pairs for row in rows(spec, result)]
    frame = pd.DataFrame(listed, columns=list(RESULT_COLUMNS))
    frame["trial"] = pd.to_numeric(frame["trial"])
    return frame.sort_values(_SORT, kind="stable", ignore_index=True)


def write_results(frame: pd.DataFrame, path: Path) -> None:
    """Write ``results.csv`` (UTF-8, newline-terminated rows)."""
    whole = frame.assign(trial=frame["trial"].astype("Int64"))
    write_text(path, whole.to_csv(index=False, lineterminator="\n"))


def read_results(path: Path) -> pd.DataFrame:
    """Read ``results.csv``.

    Raises:
        PlanError: It is missing or has other columns.
    """
    text = ["recipe", "task", "dataset", "regularizer", "options", "settings", "optimizer", "cfg_options"]
    text += ["status", "split", "metric", "checkpoint", "device", "config_hash", "reason", "run"]
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False)
    except FileNotFoundError:
        raise PlanError(f"{path} does not exist; run `wrs-mm bench report` on its folder") from None
    if list(frame.columns) != list(RESULT_COLUMNS):
        raise PlanError(f"{path} has other columns than expected; run `wrs-mm bench report`")
    frame["value"] = pd.to_numeric(frame["value"])
    frame["threads"] = pd.to_numeric(frame["threads"])
    frame["trial"] = pd.to_numeric(frame["trial"])
    frame["learning_rate"] = pd.to_numeric(frame["learning_rate"])
    frame["baseline"] = frame["baseline"].astype(str) == "True"
    return frame


def reported(results: pd.DataFrame) -> pd.DataFrame:
    """The rows that arms are compared by: of runs that are no trial, on the split that their plan reports."""
    tested = results["run"].isin(set(results.loc[results["split"] == "test", "run"]))
    return results[results["trial"].isna() & ((results["split"] == "test") == tested)]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as dicts."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def is_missing(value: Any) -> bool:
    """Whether a cell of a frame is empty."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def main_metrics(task: str, measured: Collection[str]) -> list[str]:
    """The metrics that tables show of a task, as far as they were measured; the first is the main one."""
    return [metric for metric in MAIN.get(task, ()) if metric in measured]


def same_at_last_and_best(results: pd.DataFrame) -> set[str]:
    """The tasks in which every run's best checkpoint has exactly the numbers of its last one."""
    same = set()
    results = reported(results)
    done = results[(results["status"] == "done") & (results["metric"] != "")]
    for task, rows in done.groupby("task"):
        values = rows.pivot(index=["run", "metric"], columns="checkpoint", values="value")
        if {"last", "best"} <= set(values) and (values["last"] == values["best"]).all():
            same.add(str(task))
    return same
