"""What the report compares, as tables of text: the arms over seeds, over images, and over a sweep."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from wrs_mm.bench.plan.spec import arm_label
from wrs_mm.bench.runs.metrics import MAIN
from wrs_mm.bench.statistics.over_seeds import MIN_PAIRS

NONE = "–"
"""What stands where there is no number."""

CHECKPOINTS = {"last": "last checkpoint", "best": "best checkpoint"}
"""The checkpoints that are reported, each in tables of its own."""

AXES = {"learning_rate": "learning rate"}
"""What readers call an axis that is no option of an arm."""


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: What it shows.
        value: What it is sorted by; NaN where it is text or has no number.
        best: Whether it is the best of its recipe.
    """

    text: str
    value: float = math.nan
    best: bool = False


class Row(NamedTuple):
    """A row.

    Attributes:
        arm: Label of the arm that it belongs to.
        cells: As many as there are columns.
    """

    arm: str
    cells: list[Cell]


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: What it compares.
        caption: What its numbers are, in a few sentences.
        header: Column names.
        numeric: For each column, whether it holds numbers.
        rows: The rows.
    """

    title: str
    caption: str
    header: list[str]
    numeric: list[bool]
    rows: list[Row]


Record = dict[str, Any]


def records(frame: pd.DataFrame) -> list[Record]:
    """The rows of a frame as dicts."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def label(row: Record) -> str:
    """The arm of a row as people read it."""
    return arm_label(row["regularizer"], json.loads(row["options"]))


def number(value: float, sign: bool = False) -> str:
    """Two decimals, or :data:`NONE`."""
    if math.isnan(value):
        return NONE
    return f"{value:+.2f}" if sign else f"{value:.2f}"


def bracket(low: float, high: float) -> str:
    """An interval with its space before it; nothing where there is none."""
    return "" if math.isnan(low) else f" [{number(low, sign=True)}, {number(high, sign=True)}]"


def plain(value: float) -> str:
    """A setting as people write it: ``0.0005`` and ``1e-05``."""
    return NONE if math.isnan(value) else f"{value:g}"


class _Settings:
    """The columns that say where an arm was compared; those that never vary are left out."""

    def __init__(self, rows: Sequence[Record]) -> None:
        self.optimizers = len({row["optimizer"] for row in rows}) > 1
        self.rates = any(not _missing(row.get("learning_rate")) for row in rows)

    def header(self) -> list[str]:
        return [*(["optimizer"] if self.optimizers else []), *(["learning rate"] if self.rates else [])]

    def cells(self, row: Record) -> list[Cell]:
        cells = [Cell(row["optimizer"])] if self.optimizers else []
        if self.rates:
            rate = row["learning_rate"]
            cells.append(Cell("recipe's") if _missing(rate) else Cell(plain(float(rate)), float(rate)))
        return cells


def comparisons(summary: pd.DataFrame) -> list[Table]:
    """The main metrics of every arm, one table a task.

    Args:
        summary: From :func:`wrs_mm.bench.statistics.over_seeds.summarize`: of one checkpoint.
    """
    return [table for task in MAIN if (table := _comparison(task, summary[summary["task"] == task]))]


def _comparison(task: str, summary: pd.DataFrame) -> Table | None:
    rows = records(summary)
    metrics = [metric for metric in MAIN[task] if any(r["metric"] == metric for r in rows)]
    if not rows:
        return None
    by_arm: dict[tuple[Any, ...], dict[str, Record]] = {}
    for record in rows:
        by_arm.setdefault(_order(record), {})[record["metric"]] = record
    best = _best(rows)
    settings = _Settings(rows)
    made = []
    for arm in sorted(by_arm):
        cells = by_arm[arm]
        one = next(iter(cells.values()))
        row = [Cell(one["recipe"]), Cell(label(one)), *settings.cells(one)]
        for metric in metrics:
            cell = cells.get(metric)
            row += [_mean_cell(cell, best), _difference_cell(cell)] if cell else [Cell(NONE), Cell(NONE)]
        made.append(Row(label(one), [*row, _runs_cell(one)]))
    header = ["recipe", "regularizer", *settings.header()]
    numeric = [name == "learning rate" for name in header]
    for metric in metrics:
        header += [metric, f"Δ {metric}"]
        numeric += [True, True]
    checkpoint = str(summary["checkpoint"].iloc[0])
    title = f"{task.capitalize()}: {CHECKPOINTS[checkpoint]}"
    return Table(title, over_seeds(summary), [*header, "runs"], [*numeric, False], made)


def over_seeds(summary: pd.DataFrame) -> str:
    """What the numbers of a comparison are."""
    which = "last" if (summary["checkpoint"] == "last").all() else "best"
    text = (
        f"Percent, of each run's {which} checkpoint: mean ± standard deviation over seeds; Δ: the mean ± "
        "standard deviation of the difference to the baseline, paired by seed"
    )
    if (summary["pairs"] >= MIN_PAIRS).any():
        text += ", with its 95 % interval in brackets (Student's t over the paired differences)"
    text += "."
    if which == "best":
        text += (
            " The best checkpoint was chosen by the validation images that it is measured on, so these "
            "numbers are optimistic."
        )
    pairs = summary.loc[~summary["baseline"] & (summary["pairs"] > 0), "pairs"]
    if (summary["seeds"] == 1).any():
        text += (
            f" «{NONE}» stands for a standard deviation that one seed does not have: a difference from one "
            "seed may be chance."
        )
    elif len(pairs) and (pairs < MIN_PAIRS).any():
        text += " There is no interval from fewer than 3 seeds."
    return text


def _best(rows: Iterable[Record]) -> dict[tuple[Any, ...], float]:
    """The best mean of each recipe and metric that several arms have."""
    means: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        if not math.isnan(row["mean"]):
            means.setdefault((row["recipe"], row["metric"]), []).append(row["mean"])
    return {key: max(values) for key, values in means.items() if len(values) > 1}


def _mean_cell(row: Record, best: dict[tuple[Any, ...], float]) -> Cell:
    if math.isnan(row["mean"]):
        return Cell(NONE)
    text = f"{number(row['mean'])} ± {number(row['sd'])}"
    return Cell(text, row["mean"], best.get((row["recipe"], row["metric"])) == row["mean"])


def _difference_cell(row: Record) -> Cell:
    if row["baseline"]:
        return Cell("baseline")
    if math.isnan(row["difference"]):
        return Cell(NONE)
    text = f"{number(row['difference'], sign=True)} ± {number(row['difference_sd'])}"
    if row["pairs"] >= MIN_PAIRS:
        text += bracket(row["low"], row["high"])
    return Cell(text, row["difference"])


def _runs_cell(row: Record) -> Cell:
    """How many seeds are in the means, and what became of the other runs."""
    done = row["runs"] - row["diverged"] - row["failed"]
    parts = [f"{done} done"]
    parts += [f"{row[state]} {state}" for state in ("diverged", "failed") if row[state]]
    return Cell(", ".join(parts))


def _order(row: Record) -> tuple[Any, ...]:
    # The arms in the order in which a reader wants them: what the others are compared with first.
    rate = row["learning_rate"]
    return (
        row["recipe"],
        row["optimizer"],
        -math.inf if _missing(rate) else float(rate),
        not row["baseline"],
        arm_order(row["regularizer"], json.loads(row["options"])),
    )


def arm_order(regularizer: str, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """What arms are sorted by: their names, then their options, numbers by their size."""
    numbers = [
        (key, 0, float(value), "") if isinstance(value, (int, float)) else (key, 1, 0.0, str(value))
        for key, value in sorted(options.items())
    ]
    return regularizer, tuple(numbers)


def setting(row: Mapping[str, Any]) -> str:
    """Where arms were compared: the recipe, and optimizer and learning rate where they are not its own."""
    parts = [str(row["recipe"])]
    parts += [] if row["optimizer"] == "recipe" else [str(row["optimizer"])]
    rate = row["learning_rate"]
    parts += [] if _missing(rate) else [f"learning rate {plain(float(rate))}"]
    return " · ".join(parts)


def over_images(intervals: pd.DataFrame) -> list[Table]:
    """The differences to the baseline with their intervals over validation images, one table a task.

    Args:
        intervals: From :func:`wrs_mm.bench.statistics.over_images.image_intervals`.
    """
    made = []
    for task in MAIN:
        rows = records(intervals[intervals["task"] == task])
        if not rows:
            continue
        metrics = list(dict.fromkeys(row["metric"] for row in rows))
        settings = _Settings(rows)
        by_run: dict[str, dict[str, Record]] = {}
        for row in rows:
            by_run.setdefault(row["run"], {})[row["metric"]] = row
        body = []
        for cells in by_run.values():
            one = next(iter(cells.values()))
            row_cells = [Cell(one["recipe"]), Cell(label(one)), *settings.cells(one)]
            row_cells.append(Cell(str(one["seed"]), one["seed"]))
            row_cells += [_image_cell(cells.get(metric)) for metric in metrics]
            body.append(Row(label(one), [*row_cells, Cell(str(one["images"]), one["images"])]))
        header = ["recipe", "regularizer", *settings.header(), "seed", *(f"Δ {m}" for m in metrics), "images"]
        numeric = [name not in ("recipe", "regularizer", "optimizer") for name in header]
        resamples = int(rows[0]["resamples"])
        caption = (
            "Points of difference to the baseline's run of the same seed, last checkpoints, and in brackets "
            f"the 95 % interval of a paired bootstrap over the validation images ({resamples} resamples, "
            "percentiles). It covers which images were drawn for validation. It does not cover the seed: "
            "another training of the same arm may differ by more."
        )
        title = f"{task.capitalize()}: how far it depends on the images"
        made.append(Table(title, caption, header, numeric, body))
    return made


def _image_cell(row: Record | None) -> Cell:
    if row is None:
        return Cell(NONE)
    return Cell(number(row["difference"], sign=True) + bracket(row["low"], row["high"]), row["difference"])


def sensitivities(sweeps: pd.DataFrame) -> list[Table]:
    """The best value of each swept option and what one step costs.

    Args:
        sweeps: From :func:`wrs_mm.bench.statistics.over_sweeps.sweeps`: of one checkpoint.
    """
    rows = records(sweeps)
    if not rows:
        return []
    optimizers = len({row["optimizer"] for row in rows}) > 1
    header = [
        "recipe",
        "regularizer",
        *(["optimizer"] if optimizers else []),
        "option",
        "best value",
        "metric",
    ]
    header += ["at the best", "one step below", "one step above"]
    numeric = [name in ("best value", "at the best") or "step" in name for name in header]
    body = []
    for row in rows:
        cells = [Cell(row["recipe"]), Cell(row["regularizer"])]
        cells += [Cell(row["optimizer"])] if optimizers else []
        cells += [Cell(AXES.get(row["axis"], row["axis"]) or "nothing to tune")]
        cells += [Cell(plain(row["best"]), row["best"]), Cell(row["metric"])]
        cells += [Cell(f"{number(row['mean'])} ± {number(row['sd'])}", row["mean"])]
        cells += [_step_cell(row, side) for side in ("below", "above")]
        body.append(Row(row["regularizer"], cells))
    which = CHECKPOINTS[str(sweeps["checkpoint"].iloc[0])]
    caption = (
        f"Percent, of each run's {which}: the best value of each option, all others as at the best point, "
        "and how many points are lost one step of the sweep away from it, paired by seed"
        + (" (95 % interval in brackets)" if (sweeps[["below_low", "above_low"]].notna().any().any()) else "")
        + ". The best value was chosen by these validation images."
    )
    return [Table(f"Sensitivity: {which}", caption, header, numeric, body)]


def _step_cell(row: Record, side: str) -> Cell:
    value = row[f"{side}_value"]
    if not row["axis"]:
        return Cell(NONE)
    if _missing(value):
        return Cell("edge of the sweep")
    loss, diverged = row[f"{side}_loss"], row[f"{side}_diverged"]
    parts = []
    if not _missing(loss):
        # What is lost shows as negative, with its interval turned round.
        parts.append(number(-loss, sign=True))
    if not _missing(diverged) and diverged:
        parts.append(f"{int(diverged)} diverged")
    interval = "" if _missing(loss) else bracket(-row[f"{side}_high"], -row[f"{side}_low"])
    return Cell(f"{', '.join(parts) or NONE} at {plain(value)}{interval}", -loss)


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
