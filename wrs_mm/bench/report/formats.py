"""A table as Markdown, as LaTeX, and for the terminal. What users named is escaped in each."""

from __future__ import annotations

import re
from typing import Literal

from rich.markup import escape
from rich.table import Table as RichTable

from wrs_mm.bench.report.tables import Cell, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "±": r"$\pm$",
    "−": "$-$",
    "Δ": r"$\Delta$",
    # Guillemets are not in LaTeX's default font encoding.
    "«": "``",
    "»": "''",
}


def to_markdown(table: Table) -> str:
    """A heading, the table and its caption as GitHub's Markdown; the best numbers are bold."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def cell(one: Cell) -> str:
        return f"**{escape_markdown(one.text)}**" if one.best else escape_markdown(one.text)

    align = ["--:" if numeric else ":--" for numeric in table.numeric]
    lines = [line([escape_markdown(name) for name in table.header]), line(align)]
    lines += [line([cell(one) for one in row.cells]) for row in table.rows]
    return "\n\n".join(
        [f"## {escape_markdown(table.title)}", "\n".join(lines), escape_markdown(table.caption)]
    )


def escape_markdown(text: str) -> str:
    """Text that is neither markup nor the end of a cell."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    # An underscore within a word is only an underscore; names full of backslashes would be hard to read.
    text = re.sub(r"([\\`*|~])", r"\\\1", text).replace("](", "]\\(")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def to_latex(table: Table) -> str:
    """A ``table*`` with booktabs' rules; the best numbers are bold, recipes are set apart."""

    def cell(one: Cell) -> str:
        return rf"\textbf{{{escape_latex(one.text)}}}" if one.best else escape_latex(one.text)

    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape_latex(f'{table.title}. {table.caption}')}}}",
        rf"\begin{{tabular}}{{{''.join('r' if numeric else 'l' for numeric in table.numeric)}}}",
        r"\toprule",
        " & ".join(escape_latex(name) for name in table.header) + r" \\",
        r"\midrule",
    ]
    before = None
    for row in table.rows:
        recipe = row.cells[0].text
        lines += [r"\addlinespace"] if before not in (None, recipe) else []
        before = recipe
        lines.append(" & ".join(cell(one) for one in row.cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}"])


def escape_latex(text: str) -> str:
    """Text in which LaTeX finds no command."""
    escaped = "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
    escaped = re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
    # A bracket that begins a row would be taken for the argument of the \\ before it.
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


def to_rich(table: Table) -> RichTable:
    """The table for the terminal."""
    drawn = RichTable(title=escape(table.title), title_justify="left")
    for column, numeric in zip(table.header, table.numeric, strict=True):
        side: Literal["left", "right"] = "right" if numeric else "left"
        drawn.add_column(escape(column), justify=side, overflow="fold")
    for row in table.rows:
        # Square brackets of an interval are no markup.
        cells = [one.text.replace("[", "\\[") for one in row.cells]
        drawn.add_row(
            *(
                f"[bold]{text}[/bold]" if one.best else text
                for text, one in zip(cells, row.cells, strict=True)
            )
        )
    return drawn
