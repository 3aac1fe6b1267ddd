"""The section on what training did to the weights: tables/weights.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_up_dynamics import make_watched_work_dir, write_dynamics
from made_up_noise import noisy, write_noise
from visits import open_page

from wrs_mm.bench.report.files import collect
from wrs_mm.bench.report.page import write_page
from wrs_mm.bench.report.tables.weights import weights_table
from wrs_mm.bench.statistics.dynamics import watched_runs
from wrs_mm.bench.statistics.weights import arm_weights


def test_columns_of_what_was_not_measured_are_left_out() -> None:
    runs = [noisy(arm, seed, 0.5, end) for arm, end in (("wd", 0.25), ("wrs", 0.375)) for seed in range(2)]
    table = weights_table("r", arm_weights(runs, watched_runs(runs)))
    assert table is not None
    assert [column.name for column in table.columns] == [
        *("arm", "seeds", "noise at the start, %", "at the end", "Δ to the baseline's"),
    ]
    wd, wrs = ([cell.whole for cell in row.cells] for row in table.rows)
    assert wd == ["wd", "2", "50.00 ± 0.00", "25.00 ± 0.00", "baseline"]
    assert wrs == ["wrs", "2", "50.00 ± 0.00", "37.50 ± 0.00", "+12.50"]
    assert "effective" not in table.caption
    assert weights_table("r", []) is None


def write(folder: Path, arm: str, seed: int) -> None:
    write_dynamics(folder, arm, seed, updates=40)
    write_noise(folder)


@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_shows_it(browser: Any, tmp_path: Path, width: int) -> None:
    made = make_watched_work_dir(tmp_path / "work", ["none", "wd"], write=write)
    visit = open_page(browser, write_page(collect(made, with_images=True)), width)
    section = visit.page.locator("#weights")
    assert section.locator("h2").inner_text() == "What training did to the weights"
    rows = section.locator("tbody tr")
    assert rows.count() == 2 and "25.00" in rows.first.inner_text()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.complaints == []


def test_where_nobody_has_measured_it_there_is_no_section(benchmark: Any) -> None:
    assert 'id="weights"' not in benchmark.page
