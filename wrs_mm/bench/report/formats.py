"""A table as Markdown, as LaTeX, and for the terminal. What users named is escaped in each.

A recipe is a heading within its table: names of fifty letters in a column would leave no room for numbers.
"""

from __future__ import annotations

import re

from rich.text import Text

from wrs_mm import terminal
from wrs_mm.bench.report.tables.base import Table, TableCell
from wrs_mm.values import one_line

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

    def cell(one: TableCell) -> str:
        return f"**{escape_markdown(one.whole)}**" if one.best else escape_markdown(one.whole)

    lines = [
        line([escape_markdown(column.name) for column in table.columns]),
        line(["--:" if column.numeric else ":--" for column in table.columns]),
    ]
    for recipe, rows in table.sections():
        if recipe:
            lines.append(line([f"**{escape_markdown(recipe)}**", *[""] * (len(table.columns) - 1)]))
        lines += [line([cell(one) for one in row.cells]) for row in rows]
    return "\n\n".join(
        [f"## {escape_markdown(table.title)}", "\n".join(lines), escape_markdown(table.caption)]
    )


def escape_markdown(text: str) -> str:
    """Text that is neither markup nor the end of a cell."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    # An underscore within a word is only an underscore; names full of backslashes would be hard to read.
    text = re.sub(r"([\\`*|~])", r"\\\1", text).replace("](", "]\\(")
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def to_latex(table: Table) -> str:
    """A ``table*`` with booktabs' rules; the best numbers are bold."""

    def cell(one: TableCell) -> str:
        return rf"\textbf{{{escape_latex(one.whole)}}}" if one.best else escape_latex(one.whole)

    count = len(table.columns)
    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape_latex(f'{table.title}. {table.caption}')}}}",
        rf"\begin{{tabular}}{{{''.join('r' if column.numeric else 'l' for column in table.columns)}}}",
        r"\toprule",
        " & ".join(escape_latex(column.name) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for index, (recipe, rows) in enumerate(table.sections()):
        lines += [r"\addlinespace"] if index else []
        if recipe:
            lines.append(rf"\multicolumn{{{count}}}{{l}}{{\textit{{{escape_latex(recipe)}}}}} \\")
        lines += [" & ".join(cell(one) for one in row.cells) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}"])


def escape_latex(text: str) -> str:
    """Text in which LaTeX finds no command."""
    escaped = "".join(_LATEX.get(character, character) for character in one_line(text))
    escaped = re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
    # A bracket that begins a row would be taken for the argument of the \\ before it.
    return f"{{}}{escaped}" if escaped.startswith(("[", "*")) else escaped


def to_lines(table: Table, width: int | None = None) -> list[Text]:
    """The title and the table for a terminal.

    Args:
        table: The table.
        width: Of the terminal; None where there is none. A table that is wider has some of its columns in a
            block below, or its intervals on lines of their own, whichever takes fewer lines.
    """
    columns = [terminal.Column(one.name, one.numeric, one.joined) for one in table.columns]

    def cell(one: TableCell, gap: str) -> Text:
        return Text(gap.join(filter(None, (one.text, one.interval))), "bold" if one.best else "")

    def lines(gap: str) -> list[Text]:
        """The table with that between a number and its interval."""
        sections = [
            terminal.Section(recipe, [[cell(one, gap) for one in row.cells] for row in rows])
            for recipe, rows in table.sections()
        ]
        return terminal.table_lines(columns, sections, width, table.keys)

    layouts = [lines(" "), lines("\n")]
    fitting = [made for made in layouts if terminal.fits(made, width)]
    return [Text(table.title, "bold"), *min(fitting or layouts[1:], key=len)]
