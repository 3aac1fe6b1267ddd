"""The page and its sections (sections.py): what is in it, and what a browser makes of it."""

from __future__ import annotations

import re

import pytest
from made_up import EVIL, SEGMENTOR
from visits import Visit, open_page

from wrs_mm.bench.report import page as module
from wrs_mm.bench.report.figures.base import text
from wrs_mm.bench.report.page import require_packages, write_page
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.errors import ConfigError


def test_what_users_named_is_escaped(benchmark):
    assert EVIL not in benchmark.page
    assert "<img src=x" not in benchmark.page
    assert "<b>square" not in benchmark.page
    assert "&lt;script&gt;document.title" in benchmark.page


def test_plots_show_users_markup_as_text():
    assert text("a <b>c</b> & d") == "a &lt;b&gt;c&lt;/b&gt; &amp; d"


def test_the_page_names_nothing_outside_itself(benchmark):
    without_plotly = re.sub(r'(?s)<script type="application/octet-stream".*?</script>', "", benchmark.page)
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', without_plotly) == []
    assert "default-src 'none'" in benchmark.page


def test_the_same_results_give_the_same_page(benchmark):
    assert module.render(benchmark.report) == benchmark.page


def test_a_work_dir_without_results_has_a_page(tmp_path):
    from wrs_mm.bench.report.files import collect

    work_dir = WorkDir(tmp_path)
    work_dir.register("nothing yet", [])
    page = write_page(collect(work_dir, with_images=True)).read_text()
    assert "No run has a result yet" in page


def test_without_its_packages_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs plotly and jinja2; run `pip install .*report") as error:
        require_packages()
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def visit(browser, benchmark) -> Visit:
    """The report, opened and drawn; tests leave it as it was."""
    return open_page(browser, benchmark.work_dir.path / "report.html", 1200)


def test_it_opens_without_a_request_or_a_complaint(visit, benchmark):
    assert visit.requests == [(benchmark.work_dir.path / "report.html").as_uri()]
    assert visit.complaints == []
    assert visit.page.title() == benchmark.work_dir.name


def test_its_tables_and_plots_are_there(visit):
    page = visit.page
    headings = page.locator("h2").all_inner_texts()
    assert headings[:3] == ["Answer", "Comparison", "Curves"]
    titles = page.locator("figure.table h3").all_inner_texts()
    for title in ("Detection: last checkpoint", "Segmentation: best checkpoint"):
        assert title in titles
    comparison = page.locator("figure.table", has_text="Segmentation: last checkpoint")
    assert comparison.locator("tbody tr[data-arm]").count() == 3
    plots = page.locator(".canvas")
    # A forest a task; two curves and one plot of classes a recipe.
    assert plots.count() == 2 + 2 * 2 + 2
    assert page.locator(".canvas .main-svg .trace").count() > plots.count()
    assert page.locator("figure.plot h3").all_inner_texts().count(f"{SEGMENTOR}: training loss") == 1
    images = page.locator("figure.images img")
    assert images.count() == 2 * 4 * 3
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 100)")


def test_an_arm_can_be_hidden(visit):
    page = visit.page
    rows = page.locator('tr[data-arm="wrs"]:visible')
    lines = "() => [...document.querySelectorAll('.canvas')].map((c) => c.querySelectorAll('.trace').length)"
    before = page.evaluate(lines)
    assert rows.count() > 0
    page.get_by_label("wrs", exact=True).uncheck()
    assert rows.count() == 0
    after = page.evaluate(lines)
    assert all(fewer < more for fewer, more in zip(after, before, strict=True))
    page.get_by_label("wrs", exact=True).check()
    assert page.evaluate(lines) == before
    assert visit.complaints == []


def test_a_recipe_is_the_heading_of_its_rows_in_every_table(visit):
    comparison = visit.page.locator("figure.table", has_text="Segmentation: last checkpoint")
    heading = comparison.locator("tr.recipe th")
    assert heading.all_inner_texts() == [SEGMENTOR]
    assert int(heading.get_attribute("colspan")) == comparison.locator("thead th").count()
    assert comparison.locator("td", has_text=SEGMENTOR).count() == 0
    runs = visit.page.locator("#runs tbody")
    assert runs.count() == 2
    # Sorting leaves it at the head of its rows.
    visit.page.locator("#runs").get_by_role("button", name="iterations").click()
    assert runs.nth(1).locator("tr").first.inner_text() == SEGMENTOR


def test_a_table_can_be_sorted(visit):
    table = visit.page.locator("figure.table", has_text="Segmentation: last checkpoint")
    arms = "rows => rows.map((row) => row.cells[0].textContent)"
    table.get_by_role("button", name="mIoU", exact=True).click()
    assert table.locator("tbody tr[data-arm]").evaluate_all(arms) == ["wrs", "wd", "none"]
    table.get_by_role("button", name="mIoU", exact=True).click()
    assert table.locator("tbody tr[data-arm]").evaluate_all(arms) == ["none", "wd", "wrs"]
    table.get_by_role("button", name="regularizer").click()
    assert table.locator("tbody tr[data-arm]").evaluate_all(arms) == ["none", "wd", "wrs"]


def test_plots_answer_a_hovering_pointer(visit):
    plot = visit.page.locator("figure.plot", has_text=f"{SEGMENTOR}: training loss").locator(".canvas")
    plot.scroll_into_view_if_needed()
    box = plot.locator(".nsewdrag").first.bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    plot.locator(".hoverlayer .hovertext").first.wait_for(timeout=10_000)
    assert "mean of" in plot.locator(".hoverlayer").text_content()


def test_nothing_sticks_out_at_the_width_of_a_phone(browser, benchmark):
    visit = open_page(browser, benchmark.work_dir.path / "report.html", 390)
    widths = "Math.max(...[...document.querySelectorAll('.canvas svg')].map((plot) => plot.clientWidth))"
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert 250 < visit.page.evaluate(widths) <= 390
    assert visit.complaints == []
