"""The section on weight dynamics: figures/dynamics.py, figures/panels.py and tables/equilibria.py."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from made_up_dynamics import STAGES, made_up_dynamics, make_watched_work_dir, run_data
from visits import Visit, open_page

from wrs_mm.bench.report.figures.base import Figure, colors, log_ticks
from wrs_mm.bench.report.figures.dynamics import (
    equilibrium_figure,
    norm_figure,
    schedule_figure,
    spread_figure,
)
from wrs_mm.bench.report.files import collect
from wrs_mm.bench.report.page import write_page
from wrs_mm.bench.report.tables.equilibria import equilibria_table
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.dynamics import watched_runs
from wrs_mm.bench.statistics.equilibria import equilibria

ARMS = ["wd", "none"]
PALETTE = colors(ARMS)


def _watched(stages=("a", "b"), **quantities: Any):
    return watched_runs([run_data(arm, 0, made_up_dynamics(stages, **quantities)) for arm in ARMS])


def _content(figure: Figure | None) -> dict[str, Any]:
    assert figure is not None
    content: dict[str, Any] = json.loads(figure.content)
    traces = content["data"]
    assert all(trace["meta"] == trace["legendgroup"] for trace in traces)
    return content


def _domains(layout: dict[str, Any]) -> list[tuple[float, ...]]:
    """Where panels are: from left to right, from bottom to top."""
    return [
        (*layout[key]["domain"], *layout[key.replace("x", "y", 1)]["domain"])
        for key in layout
        if key.startswith("xaxis")
    ]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (8, 8), (9, 5), (16, 8)])
def test_panels_stand_beside_and_below_each_other_on_screens_and_phones(count, columns):
    stages = [f"stage{number}" for number in range(count)]
    content = _content(schedule_figure("t", _watched(stages), PALETTE))
    layout = content["layout"]
    for places in (layout, layout["meta"]["narrow"]):
        domains = _domains(places)
        assert len(domains) == 2 * count
        assert all(0 <= left < right <= 1.0001 for left, right, _, _ in domains)
        assert all(-0.0001 <= low < high <= 1.0001 for _, _, low, high in domains)
        for number, one in enumerate(domains):
            for other in domains[:number]:
                beside = one[0] >= other[1] or other[0] >= one[1]
                assert beside or one[2] >= other[3] or other[2] >= one[3]
    assert len({left for left, *_ in _domains(layout)}) == columns
    assert len({left for left, *_ in _domains(layout["meta"]["narrow"])}) == min(count, 2)


def test_each_arm_has_a_line_in_each_panel_and_one_entry_of_the_legend():
    watched = _watched(lr=0.1, norm=[2.0, 1.0], turn=0.01)
    content = _content(schedule_figure("t", watched, PALETTE))
    traces = content["data"]
    assert [trace["xaxis"] for trace in traces] == ["x", "x", "x2", "x2", "x3", "x3", "x4", "x4"]
    assert [trace["name"] for trace in traces if trace["showlegend"]] == ARMS
    assert [trace["y"][0] for trace in traces[::2]] == pytest.approx([0.025, 0.1, 0.01, 0.01])
    assert {trace["line"]["color"] for trace in traces[::2]} == {PALETTE["wd"]}
    assert len({trace["line"]["dash"] for trace in traces}) == 2
    layout = content["layout"]
    assert layout["yaxis2"]["matches"] == "y" and layout["yaxis4"]["matches"] == "y3"
    assert layout["yaxis"]["title"]["text"] == "lr / ‖w‖²"
    assert [one["text"] for one in layout["annotations"]] == ["a", "b"]


def test_the_rate_of_others_than_sgd_is_called_what_it_is():
    content = _content(schedule_figure("t", _watched(sgd=False), PALETTE))
    assert content["layout"]["yaxis"]["title"]["text"] == "lr / ‖w‖"


def test_a_stage_that_has_nothing_positive_leaves_its_panel_empty():
    content = _content(norm_figure("t", _watched(norm=[math.nan, 2.0]), PALETTE))
    assert [trace["y"] for trace in content["data"]] == [[], [], [2.0] * 4, [2.0] * 4]
    assert norm_figure("t", _watched(norm=math.nan), PALETTE) is None
    assert spread_figure("t", _watched(turn_50=0.0), PALETTE) is None


def test_theory_stands_beside_what_was_measured_and_is_broad_where_it_holds():
    settings = {"lr": 0.1, "momentum": 0.0, "weight_decay": 1.0, "norm_4": 3.0}
    watched = watched_runs(
        [
            run_data("wd", 0, made_up_dynamics(("a",), **settings)),
            run_data("none", 0, made_up_dynamics(("a",), weight_decay=0.0)),
        ]
    )
    content = _content(equilibrium_figure("t", watched, PALETTE))
    broad, theory, measured = content["data"][:3]
    assert {trace["meta"] for trace in content["data"]} == {"wd"}
    expected = (0.1 / (1.0 * (2 - 0.1))) ** 0.25
    assert theory["y"] == pytest.approx([expected] * 4, rel=1e-3)
    # A time constant is 2.5 updates, and the first report has nothing before it.
    assert broad["y"] == [None, *theory["y"][1:]]
    assert measured["y"] == [3.0] * 4
    assert theory["name"] == "wd: theory"
    assert equilibrium_figure("t", _watched(weight_decay=0.0), PALETTE) is None


def test_single_filters_have_a_point_and_a_bar_in_each_quarter():
    watched = _watched(turn_10=0.0, turn_50=[[1.0], [1.0], [1.0], [2.0]], turn_90=4.0)
    first, _, last, _ = _content(spread_figure("t", watched, PALETTE))["data"]
    assert (first["xaxis"], last["xaxis"]) == ("x", "x2")
    assert (first["x"], last["x"]) == ([1.0, 1.0], [2.0, 2.0])
    assert last["error_x"]["array"] == [2.0, 2.0]
    # Those that do not turn at all are off a logarithmic axis: its bar ends where the axis does.
    assert last["error_x"]["arrayminus"] == [1.0, 1.0]


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.62), (0.45, 2.5), (1e-5, 1e-1), (1e-30, 1e20), (1.0, 1.5)])
def test_a_logarithmic_axis_has_some_ticks_and_not_too_many(low, high):
    ticks = [tick for tick in log_ticks(low, high)["tickvals"] if low <= tick <= high]
    assert 1 <= len(ticks) <= 10


def test_a_table_without_an_equilibrium_is_none():
    assert equilibria_table([]) is None


def test_a_table_says_what_was_measured_over_what_theory_predicts():
    settings = {"lr": 0.1, "momentum": 0.0, "weight_decay": 1.0, "norm_4": 3.0, "turn": 0.2}
    watched = watched_runs([run_data("wd", 0, made_up_dynamics(("a",), **settings))])
    table = equilibria_table(equilibria(watched))
    assert table is not None
    (row,) = table.rows
    turn, norm = math.sqrt(2 * 0.1), (0.1 / 1.9) ** 0.25
    shown = ["wd", "a", "2", "75 %", "0.2", f"{0.2 / turn:.2f}", "3", f"{3 / norm:.2f}"]
    assert [cell.text for cell in row.cells] == shown
    assert not any(cell.interval for cell in row.cells)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> WorkDir:
    """Three seeds of wd, wrs and none that have watched their weights, with a page."""
    made = make_watched_work_dir(tmp_path_factory.mktemp("watched") / "work")
    write_page(collect(made, with_images=True))
    return made


def _open(browser: Any, work_dir: WorkDir, width: int) -> Visit:
    return open_page(browser, work_dir.path / "report.html", width)


def test_the_page_answers_and_shows(browser, work_dir):
    visit = _open(browser, work_dir, 1200)
    section = visit.page.locator("#dynamics")
    assert section.locator("h2").inner_text() == "Did the arms train with the same effective schedule?"
    assert section.locator(".verdict").all_inner_texts() == ["another schedule"] * 2
    assert section.locator("figure.plot h3").all_inner_texts() == [
        "r: effective learning rate and angular update",
        "r: norms of the filters",
        "r: angular updates of single filters",
        "r: weight decay and its equilibrium",
    ]
    head = section.locator(".canvas").first
    assert head.locator(".subplot").count() >= 2 * len(STAGES)
    # Bands and lines of three arms; wrs has one norm in all seeds, and so no band of its rate.
    assert head.locator(".trace.scatter").count() == 2 * len(STAGES) * 3 * 2 - len(STAGES)
    table = section.locator("figure.table")
    assert table.locator("tbody tr").count() == len(STAGES)
    assert "backbone.<b>layer2" in table.inner_text()
    assert visit.complaints == []


def test_an_arm_is_hidden_in_all_of_it(browser, work_dir):
    visit = _open(browser, work_dir, 1200)
    head = visit.page.locator("#dynamics .canvas").first
    before = head.locator(".trace.scatter").count()
    visit.page.get_by_label("wrs", exact=True).uncheck()
    assert head.locator(".trace.scatter").count() == before - 3 * len(STAGES)
    assert visit.page.locator("#dynamics li:visible").count() == 1


def test_on_a_phone_stages_stand_below_each_other(browser, work_dir):
    visit = _open(browser, work_dir, 390)
    head = visit.page.locator("#dynamics .canvas").first
    boxes = [box.bounding_box() for box in head.locator(".nsewdrag").all()]
    assert len({round(box["x"]) for box in boxes}) == 2
    assert len({round(box["y"]) for box in boxes}) == len(STAGES)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visit.complaints == []


def test_where_nobody_has_watched_weights_there_is_no_section(benchmark):
    assert 'id="dynamics"' not in benchmark.page
