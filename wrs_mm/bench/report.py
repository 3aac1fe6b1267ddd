"""The comparison as tables: Markdown, CSV, and for the terminal.

Reads the summary of ``results.csv`` and nothing else. One table a task, a row an arm of a recipe,
and for each main metric the mean ± standard deviation over seeds and the difference to the
baseline.
"""

from __future__ import annotations

import json
import math
from typing import Any, Literal, NamedTuple

import pandas as pd
from rich.table import Table as RichTable

from wrs_mm.bench.metrics import MAIN
from wrs_mm.bench.plan import arm_label
from wrs_mm.bench.results import read_results, write_results
from wrs_mm.bench.runs import WorkDir
from wrs_mm.bench.statistics import MIN_PAIRS, summarize
from wrs_mm.bench.storage import write_text

NONE = "–"
"""What stands where there is no number."""

_TEXT = ("recipe", "regularizer", "optimizer", "runs")
"""Columns that do not hold numbers."""


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: What it compares.
        header: Column names.
        rows: Cells, as many as there are columns in each.
    """

    title: str
    header: list[str]
    rows: list[list[str]]


def _number(value: float, sign: bool = False) -> str:
    if math.isnan(value):
        return NONE
    return f"{value:+.2f}" if sign else f"{value:.2f}"


def _mean_cell(row: dict[str, Any]) -> str:
    if math.isnan(row["mean"]):
        return NONE
    return f"{_number(row['mean'])} ± {_number(row['sd'])}"


def _difference_cell(row: dict[str, Any]) -> str:
    if row["baseline"]:
        return "baseline"
    if math.isnan(row["difference"]):
        return NONE
    cell = f"{_number(row['difference'], sign=True)} ± {_number(row['difference_sd'])}"
    if row["pairs"] >= MIN_PAIRS:
        cell += f" [{_number(row['low'], sign=True)}, {_number(row['high'], sign=True)}]"
    return cell


def _runs_cell(row: dict[str, Any]) -> str:
    """How many seeds are in the means, and what became of the other runs."""
    done = row["runs"] - row["diverged"] - row["failed"]
    parts = [f"{done} done"]
    parts += [f"{row[state]} {state}" for state in ("diverged", "failed") if row[state]]
    return ", ".join(parts)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    # The arms in the order in which a reader wants them: what the others are compared with first.
    return (
        row["recipe"],
        row["optimizer"],
        not row["baseline"],
        row["regularizer"],
        row["options"],
    )


def tables(summary: pd.DataFrame) -> list[Table]:
    """The main metrics of every arm, one table a task.

    Args:
        summary: From :func:`wrs_mm.bench.statistics.summarize`.
    """
    made = []
    for task, main in MAIN.items():
        records: list[dict[str, Any]] = [
            {str(key): value for key, value in record.items()}
            for record in summary[summary["task"] == task].to_dict("records")
        ]
        metrics = [metric for metric in main if any(r["metric"] == metric for r in records)]
        by_arm: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
        for record in records:
            by_arm.setdefault(_order(record), {})[record["metric"]] = record
        optimizers = len({record["optimizer"] for record in records}) > 1
        rows = []
        for arm in sorted(by_arm):
            cells = by_arm[arm]
            any_cell = next(iter(cells.values()))
            label = arm_label(any_cell["regularizer"], json.loads(any_cell["options"]))
            row = [any_cell["recipe"], label]
            row += [any_cell["optimizer"]] if optimizers else []
            for metric in metrics:
                cell = cells.get(metric)
                row += [_mean_cell(cell), _difference_cell(cell)] if cell else [NONE, NONE]
            rows.append([*row, _runs_cell(any_cell)])
        if rows:
            header = ["recipe", "regularizer", *(["optimizer"] if optimizers else [])]
            for metric in metrics:
                header += [metric, "difference"]
            made.append(Table(task.capitalize(), [*header, "runs"], rows))
    return made


def caption(summary: pd.DataFrame) -> str:
    """What the numbers are, in a few sentences."""
    text = (
        "Percent, of the last checkpoint: mean ± standard deviation over seeds, and the mean ± "
        "standard deviation of the difference to the baseline, paired by seed"
    )
    if (summary["pairs"] >= MIN_PAIRS).any():
        text += ", with its 95 % interval (Student's t)"
    text += "."
    if (summary["seeds"] == 1).any():
        text += (
            " «–» stands for a standard deviation that one seed does not have: "
            "a difference from one seed may be chance."
        )
    return text


def to_markdown(name: str, summary: pd.DataFrame) -> str:
    """The tables as GitHub's Markdown."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    parts = [f"# {name}", caption(summary)]
    for table in tables(summary):
        align = [":--" if column in _TEXT else "--:" for column in table.header]
        lines = [line(table.header), line(align), *(line(row) for row in table.rows)]
        parts += [f"## {table.title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def to_rich(summary: pd.DataFrame) -> list[RichTable]:
    """The tables for the terminal."""
    made = []
    for table in tables(summary):
        drawn = RichTable(title=table.title, title_justify="left")
        for column in table.header:
            side: Literal["left", "right"] = "left" if column in _TEXT else "right"
            drawn.add_column(column, justify=side, overflow="fold")
        for row in table.rows:
            # Square brackets of an interval are no markup.
            drawn.add_row(*(cell.replace("[", "\\[") for cell in row))
        made.append(drawn)
    return made


def write_report(work_dir: WorkDir, results: pd.DataFrame) -> pd.DataFrame:
    """Write ``results.csv``, ``table.md`` and ``table.csv`` and return the summary.

    ``table.csv`` is the summary of all metrics, not only the main ones, with all digits.
    """
    path = work_dir.path / "results.csv"
    write_results(results, path)
    summary = summarize(read_results(path))
    write_text(work_dir.path / "table.md", to_markdown(work_dir.name, summary))
    write_text(work_dir.path / "table.csv", summary.to_csv(index=False, lineterminator="\n"))
    return summary
