"""The section on sharpness: figures/sharpness.py, figures/lines.py and tables/sharpness.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from made_up_dynamics import make_watched_work_dir
from made_up_sharpness import ITERATIONS, entry, measured, write_sharpness
from visits import open_page

from wrs_mm.bench.report.figures.base import Figure, colors
from wrs_mm.bench.report.figures.sharpness import sharpness_figure
from wrs_mm.bench.report.files import collect
from wrs_mm.bench.report.page import write_page
from wrs_mm.bench.report.tables.sharpness import sharpness_table
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.sharpness import last_sharpness

ARMS = ["wd", "ws", "adamw"]
PALETTE = colors(ARMS)


def _content(figure: Figure | None) -> dict[str, Any]:
    assert figure is not None
    content: dict[str, Any] = json.loads(figure.content)
    assert all(trace["meta"] == trace["legendgroup"] for trace in content["data"])
    return content


def test_an_arm_has_its_seeds_their_mean_and_its_edge_in_each_panel():
    runs = [
        measured("wd", 0, entry(0, sharpness=1.0, sphere=4.0), entry(10, sharpness=3.0)),
        measured("wd", 1, entry(0, sharpness=3.0, sphere=8.0)),
    ]
    content = _content(sharpness_figure("t", runs, PALETTE))
    one, other, mean, edge, *sphere = content["data"]
    assert (one["y"], other["y"], mean["y"], edge["y"]) == ([1.0, 3.0], [3.0], [2.0, 3.0], [2.0, 2.0])
    assert [trace["y"][0] for trace in sphere] == [4.0, 8.0, 6.0, 2.0]
    assert edge["line"]["dash"] == "dash" and "dash" not in mean["line"]
    assert [trace["name"] for trace in content["data"] if trace["showlegend"]] == ["wd"]
    layout = content["layout"]
    assert [layout[axis]["title"]["text"] for axis in ("yaxis", "yaxis2")] == [
        "sharpness",
        "sharpness on the sphere",
    ]
    assert layout["yaxis"]["type"] == layout["yaxis2"]["type"] == "log"
    assert ("matches" not in layout["yaxis2"] and "annotations" not in layout) or not layout["annotations"]


def test_of_a_single_seed_the_line_is_drawn_once():
    content = _content(sharpness_figure("t", [measured("wd", 0, entry(0))], PALETTE))
    assert [trace["name"] for trace in content["data"]] == ["wd", "wd: edge"] * 2


def test_without_an_edge_or_a_sphere_there_are_no_lines_of_them():
    no_sphere = {"sphere": None, "sphere_error": None, "sphere_stable": None}
    ws, adam = (
        measured("ws", 0, entry(0, **no_sphere)),
        measured("adamw", 0, entry(0, stable=None, sphere_stable=None)),
    )
    drawn = [
        (one["name"], one["yaxis"]) for one in _content(sharpness_figure("t", [ws, adam], PALETTE))["data"]
    ]
    assert drawn == [("ws", "y"), ("ws: edge", "y"), ("adamw", "y"), ("adamw", "y2")]
    assert "yaxis2" not in _content(sharpness_figure("t", [ws], PALETTE))["layout"]


def test_what_is_not_positive_is_off_a_logarithmic_axis():
    unknown = {"stable": None, "sphere": None, "sphere_stable": None}
    assert sharpness_figure("t", [measured("wd", 0, entry(0, sharpness=-1.0, **unknown))], PALETTE) is None


def test_the_table_says_how_sharp_and_how_near_to_the_edge():
    runs = [measured("wd", seed, entry(1200, sharpness=3.0 + seed, sphere=None)) for seed in range(2)]
    runs.append(measured("adamw", 0, entry(8, sharpness=12345.6, stable=None, sphere_stable=None)))
    wd, adam = sharpness_table("r", last_sharpness(runs)).rows
    # The geometric mean of 3 / 2 and 4 / 2.
    assert [cell.text for cell in wd.cells] == ["wd", "1,200", "2", "3.5 ± 0.71", "1.73", "–", "–"]
    assert [cell.text for cell in adam.cells] == ["adamw", "8", "1", "12,300 ± –", "–", "1 ± –", "–"]


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> WorkDir:
    """Three seeds of each arm that have measured their sharpness, with a page."""
    made = make_watched_work_dir(tmp_path_factory.mktemp("sharp") / "work", ARMS, write=write_sharpness)
    write_page(collect(made, with_images=True))
    return made


@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_shows_it_and_hides_an_arm_in_all_of_it(browser, work_dir, width):
    visit = open_page(browser, work_dir.path / "report.html", width)
    section = visit.page.locator("#sharpness")
    assert section.locator("h2").inner_text() == "Sharpness"
    assert section.locator(".subplot").count() >= 2
    lines = section.locator(".trace.scatter")
    # Three seeds and their mean of each arm, ws in one panel; and the edges of wd in two, of ws in one.
    assert lines.count() == 4 * 5 + 3
    assert section.locator("tbody tr").count() == len(ARMS)
    assert f"{ITERATIONS[-1]}" in section.locator("tbody tr").first.inner_text()
    visit.page.get_by_label("ws", exact=True).uncheck()
    assert lines.count() == 4 * 4 + 2
    assert section.locator("tbody tr:visible").count() == len(ARMS) - 1
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.complaints == []


def test_where_nobody_has_measured_it_there_is_no_section(benchmark):
    assert 'id="sharpness"' not in benchmark.page
