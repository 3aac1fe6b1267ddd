"""Tables as Markdown, LaTeX and for the terminal."""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from made_up import Benchmark
from rich.console import Console

from wrs_mm.bench.report.formats import escape_latex, escape_markdown, to_latex, to_markdown, to_rich
from wrs_mm.bench.report.tables import Cell, Row, Table

TABLE = Table(
    "A | b <i>",
    "95 % of r18_d8.",
    ["recipe", "regularizer", "Δ mIoU"],
    [False, False, True],
    [
        Row("wd", [Cell("[r]_1 & 50%"), Cell("wd"), Cell("60.00 ± 1.00", 60.0, best=True)]),
        Row("wrs", [Cell("other"), Cell("a|b\\c"), Cell("-2.33 ± 1.53 [-6.13, +1.46]", -2.33)]),
    ],
)


def test_markdown_has_as_many_cells_in_each_row():
    lines = [line for line in to_markdown(TABLE).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert "| **60.00 ± 1.00** |" in lines[2]


def test_markdown_holds_no_markup_of_users():
    assert escape_markdown("<script>\n*x* `y` [a](b)") == r"&lt;script> \*x\* \`y\` [a]\(b)"
    assert escape_markdown("r18_d8") == "r18_d8"


def test_latex_is_booktabs_with_the_best_in_bold_and_signs_as_mathematics():
    lines = to_latex(TABLE).splitlines()
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert r"\begin{tabular}{llr}" in lines
    assert r"{}[r]\_1 \& 50\% & wd & \textbf{60.00 $\pm$ 1.00} \\" in lines
    assert r"other & a\textbar{}b\textbackslash{}c & $-$2.33 $\pm$ 1.53 [$-$6.13, +1.46] \\" in lines


def test_latex_reads_no_command_in_what_users_named():
    escaped = escape_latex(r"\input{x} $y$ #1 ~ ^ {")
    assert escaped == (r"\textbackslash{}input\{x\} \$y\$ \#1 \textasciitilde{} \textasciicircum{} \{")


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="LaTeX is not installed (Debian: texlive-latex-recommended)"
)
def test_latex_compiles_what_a_report_holds(benchmark: Benchmark, tmp_path: Path) -> None:
    folder = benchmark.work_dir.path
    texts = [path.read_text() for path in sorted(folder.glob("table*.tex"))]
    assert len(texts) == 2
    # Whatever a keyboard has, and what the captions of other benchmarks hold.
    odd = [Row("wd", [Cell(character), Cell(f"{character} 1")]) for character in string.printable]
    texts.append(to_latex(Table("«–» ± Δ × · … −", "Größe", ["a", "b"], [False, False], odd)))
    document = [r"\documentclass{article}", r"\usepackage{booktabs}", r"\begin{document}", *texts]
    (tmp_path / "tables.tex").write_text("\n".join([*document, r"\end{document}"]))
    made = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:]
    assert "Missing character" not in made.stdout


def test_the_terminal_shows_brackets_as_they_are():
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(to_rich(TABLE))
    shown = console.export_text()
    assert "-2.33 ± 1.53 [-6.13, +1.46]" in shown
    assert "[r]_1 & 50%" in shown
