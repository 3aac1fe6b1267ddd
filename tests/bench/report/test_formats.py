"""Tables as Markdown, LaTeX and for the terminal (``wrs_mm.terminal``)."""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from made_up import Benchmark
from rich.console import Console

from wrs_mm.bench.report.formats import escape_latex, escape_markdown, to_latex, to_lines, to_markdown
from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell
from wrs_mm.terminal import console_width, print_lines

TABLE = Table(
    "A | b <i>",
    "95 % of r18_d8.",
    [Column("regularizer"), Column("Δ mIoU", numeric=True)],
    [
        Row("wd", [TableCell("wd"), TableCell("60.00 ± 1.00", 60.0, best=True)], "[r]_1 & 50%"),
        Row(
            "wrs",
            [TableCell("[a]|b\\c"), TableCell("-2.33 ± 1.53", -2.33, interval="[-6.13, +1.46]")],
            "other",
        ),
    ],
)


def test_markdown_has_as_many_cells_in_each_row():
    lines = [line for line in to_markdown(TABLE).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2 * 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert "| **60.00 ± 1.00** |" in lines[3]


def test_a_recipe_is_a_heading_and_in_no_column():
    assert r"| **[r]\_1 &amp; 50%** |  |" in to_markdown(TABLE).splitlines()
    assert r"\multicolumn{2}{l}{\textit{{}[r]\_1 \& 50\%}} \\" in to_latex(TABLE).splitlines()
    assert "[r]_1 & 50%" in [line.plain for line in to_lines(TABLE)]


def test_markdown_holds_no_markup_of_users():
    assert escape_markdown("<script>\n*x* `y` [a](b)") == r"&lt;script> \*x\* \`y\` [a]\(b)"
    assert escape_markdown("r18_d8") == "r18_d8"


def test_latex_is_booktabs_with_the_best_in_bold_and_signs_as_mathematics():
    lines = to_latex(TABLE).splitlines()
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert r"\begin{tabular}{lr}" in lines
    assert r"wd & \textbf{60.00 $\pm$ 1.00} \\" in lines
    assert r"{}[a]\textbar{}b\textbackslash{}c & $-$2.33 $\pm$ 1.53 [$-$6.13, +1.46] \\" in lines


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
    odd = [
        Row("wd", [TableCell(character), TableCell(f"{character} 1")], f"{character} r")
        for character in string.printable
    ]
    texts.append(to_latex(Table("«–» ± Δ × · … −", "Größe", [Column("a"), Column("b")], odd)))
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


def test_the_terminal_shows_brackets_as_they_are(capsys):
    print_lines(Console(width=200), to_lines(TABLE))
    shown = capsys.readouterr().out
    assert "-2.33 ± 1.53 [-6.13, +1.46]" in shown
    assert "[r]_1 & 50%" in shown


RECIPES = ("mini/mask-rcnn_r18-narrow_fpn_mini-coco", "coco/mask-rcnn_r50-caffe_fpn_syncbn-all_1x_coco")


@pytest.fixture
def wide() -> Table:
    """As wide as a comparison gets: four metrics with intervals, an arm with options."""
    metrics = ["bbox_mAP", "bbox_mAP_50", "segm_mAP", "segm_mAP_50"]
    columns = [Column("regularizer")]
    for name in metrics:
        columns += [Column(name, numeric=True), Column(f"Δ {name}", numeric=True, joined=True)]
    difference = TableCell("-2.37 ± 15.91", -2.37, interval="[-41.89, +37.16]")
    cells = [TableCell("47.37 ± 16.63", 47.37), difference]
    rows = [
        Row(arm, [TableCell(arm), *cells * len(metrics), TableCell("2 done, 1 interrupted")], recipe)
        for recipe in RECIPES
        for arm in ("wd (weight_decay=0.0005)", "wrs")
    ]
    return Table("Detection: last checkpoint", "", [*columns, Column("runs")], rows)


@pytest.mark.parametrize("width", [80, 120, None])
def test_no_name_and_no_number_is_broken_at_any_width(wide, width):
    lines = [line.plain for line in to_lines(wide, width)]
    assert width is None or max(map(len, lines)) <= width
    for recipe in RECIPES:
        assert recipe in lines
    pieces = ["wd (weight_decay=0.0005)", "47.37 ± 16.63", "-2.37 ± 15.91", "[-41.89, +37.16]"]
    for piece in [*pieces, "2 done, 1 interrupted", "Δ segm_mAP_50"]:
        assert any(piece in line for line in lines)
    assert "".join(lines).count("[-41.89, +37.16]") == 4 * 4
    # Without a terminal there is nothing to keep to: a row is a line.
    if width is None:
        assert any(line.count("47.37 ± 16.63") == 4 for line in lines)


def test_a_bracket_in_a_name_is_no_interval():
    rows = [Row("a [b]", [TableCell("a [b]"), TableCell("1.00", 1.0, interval="[0, 2]")])]
    table = Table("", "", [Column("arm"), Column("x" * 10, numeric=True)], rows)
    assert [line.plain.split() for line in to_lines(table, 17)[2:]] == [["a", "[b]", "1.00"], ["[0,", "2]"]]


def test_a_metric_and_its_difference_stand_in_one_block(wide):
    heads = [line.plain for line in to_lines(wide, 80) if line.plain.lstrip().startswith("regularizer")]
    assert len(heads) > 1
    for head in heads:
        names = re.findall(r"(?<!Δ )\b(?:bbox|segm)_\w+", head)
        assert names == re.findall(r"Δ (\w+)", head)


def test_the_console_of_a_pipe_breaks_nothing(wide, capsys):
    console = Console(width=80)
    print_lines(console, to_lines(wide, console_width(console)))
    shown = capsys.readouterr().out.splitlines()
    assert shown == [line.plain for line in to_lines(wide, None)]
