"""Tables for a terminal."""

from __future__ import annotations

from rich.text import Text

from wrs_mm.terminal import Column, Section, table_lines

COLUMNS = [Column("arm"), Column("mean", right=True), Column("Δ", right=True, joined=True), Column("runs")]


def _lines(cells: list[str], width: int | None = None, columns: list[Column] = COLUMNS) -> list[str]:
    section = Section("a/long-recipe", [[Text(cell) for cell in cells]])
    return [line.plain for line in table_lines(columns, [section], width)]


def test_a_heading_is_a_line_of_its_own_and_columns_are_aligned():
    assert _lines(["wd", "60.00", "+1.00", "3 done"]) == [
        "  arm   mean      Δ  runs",
        "a/long-recipe",
        "  wd   60.00  +1.00  3 done",
    ]


def test_what_does_not_fit_goes_to_a_block_below_and_joined_columns_stay_together():
    assert _lines(["wd", "60.00", "+1.00", "3 done"], width=22) == [
        "  arm   mean      Δ",
        "a/long-recipe",
        "  wd   60.00  +1.00",
        "",
        "  arm  runs",
        "a/long-recipe",
        "  wd   3 done",
    ]


def test_joined_columns_part_only_where_both_are_too_wide():
    lines = _lines(["wd", "60.00", "+1.00", "3 done"], width=15)
    assert [line for line in lines if line.startswith("  arm")] == [
        "  arm   mean",
        "  arm      Δ",
        "  arm  runs",
    ]


def test_a_cell_wider_than_the_terminal_is_left_whole():
    assert "  " + "x" * 50 + "  60.00" in _lines(["x" * 50, "60.00", "", ""], width=20)


def test_a_cell_of_several_lines_takes_several_lines():
    assert _lines(["wd", "60.00\n[1, 2]", "", "ok"])[2:] == ["  wd    60.00     ok", "       [1, 2]"]


def test_a_remark_takes_the_rest_of_the_line_or_a_line_below():
    columns = [Column("run"), Column("state"), Column("", remark=True)]
    assert _lines(["seed0", "failed", "no space left"], 40, columns)[2] == "  seed0  failed  no space left"
    assert _lines(["seed0", "failed", "no space left"], 20, columns)[2:] == [
        "  seed0  failed",
        "    no space left",
    ]
    assert _lines(["seed0", "failed", "no space on a-rather-long-name"], 16, columns)[2:] == [
        "  seed0  failed",
        "    no space on",
        "    a-rather-long-name",
    ]
    assert _lines(["seed0", "failed", "no\nspace"], 40, columns)[2:] == ["  seed0  failed  no", "    space"]


def test_remarks_begin_below_each_other():
    rows = [[Text("seed0"), Text(state), Text("why")] for state in ("failed", "")]
    columns = [Column("run"), Column("state"), Column("", remark=True)]
    lines = table_lines(columns, [Section("", rows)], 40)
    assert [line.plain for line in lines[1:]] == ["seed0  failed  why", "seed0          why"]
