"""Tables of text: what all of the report's tables are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from wrs_mm.bench.report.labels import NONE, bracket, factor, factors, number, plain
from wrs_mm.bench.statistics.over_seeds import Effect, Ratio
from wrs_mm.bench.statistics.results import is_missing

Record = dict[str, Any]
"""A row of a frame."""


class TableCell(NamedTuple):
    """A cell.

    Attributes:
        text: What it shows.
        value: What it is sorted by; NaN where it is text or has no number.
        best: Whether it is the best of its recipe.
        interval: What stands in brackets beside the text; empty where there is nothing.
    """

    text: str
    value: float = math.nan
    best: bool = False
    interval: str = ""

    @property
    def whole(self) -> str:
        """Text and interval in one line."""
        return f"{self.text} {self.interval}" if self.interval else self.text


class Row(NamedTuple):
    """A row.

    Attributes:
        arm: Label of the arm that it belongs to.
        cells: As many as there are columns.
        recipe: The recipe under whose heading it stands; empty in a table without headings.
    """

    arm: str
    cells: list[TableCell]
    recipe: str = ""


class Column(NamedTuple):
    """A column.

    Attributes:
        name: Its heading.
        numeric: Whether it holds numbers.
        joined: Whether it says more of the column before it, beside which it should stand.
    """

    name: str
    numeric: bool = False
    joined: bool = False


class Table(NamedTuple):
    """A table of text.

    Attributes:
        title: What it compares.
        caption: What its numbers are, in a few sentences.
        columns: The columns.
        rows: The rows.
        keys: How many of the first columns say what a row is.
    """

    title: str
    caption: str
    columns: list[Column]
    rows: list[Row]
    keys: int = 1

    def sections(self) -> list[tuple[str, list[Row]]]:
        """The rows recipe by recipe, in the order of the recipes' first rows."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.recipe, []).append(row)
        return list(found.items())


def ratio_cell(one: Ratio) -> TableCell:
    """A factor with its interval over seeds."""
    return TableCell(factor(one.value), one.value, interval=factors(one.low, one.high))


def mean_cell(mean: float, sd: float) -> TableCell:
    """A mean with its standard deviation."""
    return TableCell(NONE if math.isnan(mean) else f"{number(mean)} ± {number(sd)}", mean)


def effect_cell(one: Effect) -> TableCell:
    """A difference with its interval."""
    text = NONE if math.isnan(one.value) else number(one.value, sign=True)
    return TableCell(text, one.value, interval=bracket(one.low, one.high))


class ScenarioColumns:
    """The columns that say where arms were compared within a recipe; those that never vary are left out.

    Args:
        rows: All rows of the table.
    """

    def __init__(self, rows: Sequence[Record]) -> None:
        self._optimizers = len({row["optimizer"] for row in rows}) > 1
        self._rates = any(not is_missing(row.get("learning_rate")) for row in rows)

    def columns(self) -> list[Column]:
        """The columns."""
        columns = [Column("optimizer")] if self._optimizers else []
        return columns + ([Column("learning rate", numeric=True)] if self._rates else [])

    def cells(self, row: Record) -> list[TableCell]:
        """A row's cells in them."""
        cells = [TableCell(row["optimizer"])] if self._optimizers else []
        if self._rates:
            rate = row["learning_rate"]
            missing = is_missing(rate)
            cells.append(TableCell("recipe's") if missing else TableCell(plain(float(rate)), float(rate)))
        return cells
