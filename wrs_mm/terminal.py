"""Tables for a terminal or a log: names and numbers stay in one piece, whatever the width."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = 2
_INDENT = 2


class Column(NamedTuple):
    """A column.

    Attributes:
        name: Its heading.
        right: Whether it is aligned to the right.
        joined: Whether it stands beside the column before it, where columns are spread over several blocks.
        remark: Whether its cells take what is left of the line, or lines of their own below it, which end
            between words; only the last column may.
    """

    name: str
    right: bool = False
    joined: bool = False
    remark: bool = False


class Section(NamedTuple):
    """Rows under a heading of their own.

    Attributes:
        title: The heading, a line of its own; none where it is empty.
        rows: Cells by row. A cell may have several lines.
    """

    title: str
    rows: Sequence[Sequence[Text]]


def table_lines(
    columns: Sequence[Column], sections: Sequence[Section], width: int | None = None, keys: int = 1
) -> list[Text]:
    """A table as lines of text.

    Args:
        columns: The columns.
        sections: The rows.
        width: Columns of the terminal; None for as many as it takes. Where the table is wider, what does not
            fit goes to blocks below; a single cell that is wider still is never broken.
        keys: How many of the first columns say what a row is; every block begins with them.
    """
    rows = [row for section in sections for row in section.rows]
    widths = [
        max([Text(column.name).cell_len, *(_width(row[index]) for row in rows)])
        for index, column in enumerate(columns)
        if not column.remark
    ]
    indent = _INDENT if any(section.title for section in sections) else 0
    blocks = _blocks(columns, widths, width, keys, indent)

    def row_lines(cells: Sequence[Text], block: Sequence[int]) -> list[Text]:
        lines = _row_lines(
            [cells[i] for i in block], [columns[i] for i in block], [widths[i] for i in block], indent
        )
        remark = cells[-1] if columns[-1].remark and block is blocks[-1] else Text()
        if not remark:
            return lines
        first, *others = remark.split("\n")
        used = indent + sum(widths[i] + _GAP for i in block)
        if width is None or used + first.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], " " * (used - lines[-1].cell_len), first)
        else:
            others = [first, *others]
        return [*lines, *_indented(others, indent + _INDENT, width)]

    lines: list[Text] = []
    for block in blocks:
        lines += [Text()] if lines else []
        lines += row_lines([Text(column.name, "bold") for column in columns], block)
        for section in sections:
            lines += [Text(section.title, "cyan")] if section.title else []
            lines += [line for row in section.rows for line in row_lines(row, block)]
    return lines


def fits(lines: Iterable[Text], width: int | None) -> bool:
    """Whether no line is wider than the terminal; None is one without end."""
    return width is None or all(line.cell_len <= width for line in lines)


def print_lines(console: Console, lines: Iterable[Text]) -> None:
    """Print lines as they are: the terminal wraps what is too long for it."""
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def console_width(console: Console) -> int | None:
    """The width that a table must keep to: none where there is no terminal."""
    return console.width if console.is_terminal else None


def _width(cell: Text) -> int:
    return max(line.cell_len for line in cell.split("\n", allow_blank=True))


def _blocks(
    columns: Sequence[Column], widths: Sequence[int], width: int | None, keys: int, indent: int
) -> list[list[int]]:
    """Which columns each block shows."""
    first = list(range(keys))
    taken = indent + sum(widths[index] + _GAP for index in first)

    def needed(unit: Sequence[int]) -> int:
        return sum(widths[index] + _GAP for index in unit)

    units: list[list[int]] = []
    for index in range(keys, len(widths)):
        joins = columns[index].joined and units
        if joins and (width is None or taken + needed([*units[-1], index]) - _GAP <= width):
            units[-1].append(index)
        else:
            units.append([index])
    blocks, used = [list(first)], taken
    for unit in units:
        if width is not None and used + needed(unit) - _GAP > width and len(blocks[-1]) > keys:
            blocks.append(list(first))
            used = taken
        blocks[-1] += unit
        used += needed(unit)
    return blocks


def _indented(texts: Iterable[Text], indent: int, width: int | None) -> list[Text]:
    """Texts below a row, broken between words where the terminal is too narrow."""

    def fits(part: str) -> bool:
        return width is None or indent + cell_len(part) <= width

    lines: list[Text] = []
    for text in texts:
        breaks, begin = [], 0
        for word in re.finditer(r"\S+", text.plain):
            if word.start() and not fits(text.plain[begin : word.end()]):
                begin = word.start()
                breaks.append(begin)
        lines += text.divide(breaks)
    for line in lines:
        line.rstrip()
    return [Text.assemble(" " * indent, line) for line in lines]


def _row_lines(
    cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], indent: int
) -> list[Text]:
    """A row; several lines where a cell has them."""
    parts = [list(cell.split("\n", allow_blank=True)) for cell in cells]
    lines = []
    for number in range(max(len(part) for part in parts)):
        line = Text(" " * indent)
        for part, column, width in zip(parts, columns, widths, strict=True):
            piece = part[number] if number < len(part) else Text()
            blank = " " * (width - piece.cell_len)
            line.append_text(Text.assemble(blank, piece) if column.right else Text.assemble(piece, blank))
            line.append(" " * _GAP)
        line.rstrip()
        lines.append(line)
    return lines
