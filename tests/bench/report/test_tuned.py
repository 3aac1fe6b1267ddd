"""What the report shows of a tuned plan.

Its tables are tables/settings.py, tables/effort.py, tables/robustness.py, tables/trials.py and
tables/gaps.py, its plots figures/effort.py, figures/sensitivity.py, figures/learning.py.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from made_up_tuning import DETECTOR, make_tuned_work_dir
from visits import open_page

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.report.figures.base import log_ticks
from wrs_mm.bench.report.files import Report, collect, write_tables
from wrs_mm.bench.report.formats import to_lines
from wrs_mm.bench.report.page import render, write_page
from wrs_mm.bench.report.tables.base import Table
from wrs_mm.bench.report.tables.effort import effort_table
from wrs_mm.bench.report.tables.robustness import robustness_table
from wrs_mm.bench.report.tables.settings import warnings
from wrs_mm.bench.report.tables.trials import trials_table
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.tuned import ArmTrials


class Tuned(NamedTuple):
    """A work dir of a tuned plan, what was found in it, and the page's text."""

    work_dir: WorkDir
    report: Report
    page: str

    def arm(self, name: str) -> ArmTrials:
        return next(one for one in self.report.tuned if one.label == name)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """Four arms with 16 trials and three final runs each, on one recipe, with their report written."""
    path = tmp_path_factory.mktemp("tuned") / "work"
    work_dir = make_tuned_work_dir(path, trials=16, seeds=3, recipes=[DETECTOR])
    report = collect(work_dir, with_images=True)
    write_tables(report)
    return Tuned(work_dir, report, render(report))


def by_arm(table: Table) -> dict[str, dict[str, str]]:
    """Cells by the arm's label and the column's name."""
    names = [column.name for column in table.columns]
    return {row.arm: dict(zip(names, [cell.whole for cell in row.cells], strict=True)) for row in table.rows}


def figures(page: str) -> list[dict[str, Any]]:
    found = re.findall(r'(?s)<h3>([^<]*)</h3>\s*<div class="canvas".*?<script[^>]*>(.*?)</script>', page)
    return [{"title": title, **json.loads(content)} for title, content in found]


def figure(tuned: Tuned, title: str) -> dict[str, Any]:
    (found,) = (one for one in figures(tuned.page) if title in one["title"])
    return found


def test_the_comparison_says_settings_and_trials_beside_numbers_on_test(tuned):
    (table,) = tuned.report.comparison()
    cells = by_arm(table)
    wd = tuned.arm("wd")
    assert wd.search is not None and wd.choice.settings is not None
    assert list(cells) == ["wd", "none", "wrs", "wrs_matched"]
    assert cells["wd"]["bbox_mAP"].split()[0] == f"{np.mean(list(wd.search.finals.values())):.2f}"
    settings = wd.choice.settings
    assert cells["wd"]["settings"] == f"lr={settings['lr']:g}, weight_decay={settings['weight_decay']:g}"
    lost = sum(score is None for score in wd.choice.scores.values())
    assert lost > 0
    assert cells["wd"]["trials"] == f"16, {lost} diverged"
    assert cells["wrs_matched"]["trials"] == "16"
    assert table.caption.startswith("Percent on test, ")


def test_a_setting_at_the_border_is_marked_and_its_key_is_named(tuned):
    cells, (warning,) = by_arm(tuned.report.comparison()[0]), warnings(tuned.report.tuned)
    assert cells["wrs"]["settings"].endswith(" (at the border)")
    assert not any("border" in cells[arm]["settings"] for arm in ("none", "wd", "wrs_matched"))
    assert warning.startswith(f"wrs on {DETECTOR}: ") and warning.endswith("widen tuning.search.lr.")
    assert warning in tuned.report.comparison()[0].caption
    assert f'<p class="warning">{warning}</p>' in tuned.page


def test_the_caption_says_how_small_a_difference_could_be_told(tuned):
    from wrs_mm.bench.statistics.power import minimum_detectable_difference, pooled_sd

    summary = tuned.report.summaries["last"]
    own = summary[(summary["metric"] == "bbox_mAP") & ~summary["baseline"]]
    sd = pooled_sd(list(own["difference_sd"]), list(own["pairs"]))
    expected = (
        f"with 3 seeds this comparison can tell differences of {minimum_detectable_difference(sd, 3):.1f}"
    )
    assert expected in tuned.report.comparison()[0].caption


@pytest.mark.parametrize("width", [80, 120, None])
def test_settings_and_trials_stay_whole_at_any_width(tuned, width):
    lines = [line.plain for line in to_lines(tuned.report.comparison()[0], width)]
    assert width is None or max(map(len, lines)) <= width
    text = "\n".join(lines)
    for cell in by_arm(tuned.report.comparison()[0])["wd"].values():
        assert all(piece in text for piece in cell.split(" ["))


def test_files_hold_effort_and_sensitivity_and_no_number_of_a_trial_on_tune(tuned):
    path = tuned.work_dir.path
    for name in ("table.md", "table.tex"):
        text = (path / name).read_text()
        assert "Effort: what k trials find" in text and "Sensitivity: how much of the search" in text
        for one in tuned.report.tuned:
            score = one.choice.scores[one.choice.trial]
            assert f"{score:.2f}" not in text
    frame = pd.read_csv(path / "effort.csv")
    assert frame.groupby("regularizer")["k"].agg(list).to_dict() == {
        arm: list(range(1, 17)) for arm in ("none", "wd", "wrs", "wrs_matched")
    }
    assert (frame["low"] <= frame["expected"]).all() and (frame["expected"] <= frame["high"]).all()


def test_effort_is_a_line_in_its_band_with_a_dash_and_a_symbol_of_its_own(tuned):
    found = figure(tuned, "expected bbox_mAP on test against trials")
    lines = {trace["meta"]: trace for trace in found["data"] if "lines+markers" in trace["mode"]}
    bands = {trace["meta"]: trace for trace in found["data"] if trace.get("fill")}
    assert set(lines) == set(bands) == {"wd", "none", "wrs", "wrs_matched"}
    for arm, line in lines.items():
        expected = tuned.arm(arm).expected
        assert line["x"] == list(range(1, 17))
        assert line["y"] == pytest.approx([one.metric for one in expected])
        assert bands[arm]["y"][:16] == pytest.approx([one.high for one in expected])
    assert len({line["line"]["dash"] for line in lines.values()}) == 4
    assert len({line["marker"]["symbol"] for line in lines.values()}) == 4


def test_an_arm_without_a_landscape_has_the_effort_of_its_trials_without_intervals(tuned):
    without = ArmTrials(**{**vars_of(tuned.arm("wrs")), "space": {}})
    table = effort_table([without])
    assert table is not None
    assert by_arm(table)["wrs"]["k = 16"] == f"{without.best_of_k[-1].metric:.2f}"
    assert "unbiased" in table.caption and "drawn at random" not in table.caption
    shares = robustness_table([without])
    assert shares is not None
    assert by_arm(shares)["wrs"]["within 5 %"] == "–"


def vars_of(one: ArmTrials) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ArmTrials.__dataclass_fields__}


def test_sensitivity_has_a_plot_for_lr_and_one_for_each_setting_of_an_arms_own(tuned):
    titles = [one["title"] for one in figures(tuned.page) if "trials on test against" in one["title"]]
    assert [title.partition("against ")[2] for title in titles] == ["learning rate", "weight_decay of wd"]


def test_each_trial_is_a_point_the_chosen_one_is_large_and_crosses_have_diverged(tuned):
    own = [trace for trace in figure(tuned, "weight_decay of wd")["data"] if trace["meta"] == "wd"]
    trained, chosen, lost = own
    wd = tuned.arm("wd")
    assert wd.search is not None and wd.choice.settings is not None
    known = sorted(
        (settings["weight_decay"], test)
        for settings, test in zip(wd.search.settings, wd.search.test, strict=True)
        if not math.isnan(test)
    )
    assert list(zip(trained["x"], trained["y"], strict=True)) == known
    assert chosen["x"] == [wd.choice.settings["weight_decay"]]
    assert chosen["marker"]["size"] > trained["marker"]["size"]
    assert len(lost["x"]) == wd.count(Status.DIVERGED) and max(lost["y"]) < min(trained["y"])
    # Two settings: its trials lie on no curve.
    assert trained["mode"] == "markers"


def test_a_share_near_the_best_has_its_interval(tuned):
    table = robustness_table(tuned.report.tuned)
    assert table is not None
    cells = by_arm(table)
    share = tuned.arm("wrs_matched").near_best[2]
    assert cells["wrs_matched"]["within 5 %"] == (
        f"{100 * share.share:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"
    )
    assert cells["wd"]["searched"] == "lr, weight_decay"


def test_learning_curves_have_train_and_tune_with_single_seeds_faintly(tuned):
    (wrs,) = (one for one in figures(tuned.page) if one["title"] == "wrs")
    strong = {trace["name"]: trace for trace in wrs["data"] if trace.get("name") in ("train", "tune (val)")}
    assert strong["train"]["line"]["dash"] != strong["tune (val)"]["line"]["dash"]
    assert strong["train"]["x"] == [100, 200, 300, 400, 500, 600]
    assert len(wrs["data"]) == 2 + 2 * 3
    extents = {
        tuple(one["layout"]["yaxis"]["range"]) for one in figures(tuned.page) if one["title"] in "wd wrs"
    }
    assert len(extents) == 1


def test_the_gap_is_train_less_tune_after_the_last_update(tuned):
    from wrs_mm.bench.report.sections import Sections
    from wrs_mm.bench.report.tables.gaps import gap_table

    runs = [run for run in tuned.report.benchmark.runs if run.spec.trial is None]
    learning = Sections(runs, {}, {}).learning
    table = gap_table({DETECTOR: ("bbox_mAP", learning)})
    assert table is not None
    cells = by_arm(table)["wd"]
    ends = [
        (run.train_validations[600]["bbox_mAP"], run.validations[600]["bbox_mAP"])
        for run in runs
        if run.spec.arm_label == "wd"
    ]
    gaps = [train - tune for train, tune in ends]
    assert cells["gap"] == f"{np.mean(gaps):+.2f} ± {np.std(gaps, ddof=1):.2f}"
    assert cells["seeds"] == "3"
    assert gap_table({}) is None


def test_trials_are_folded_away_below_the_runs(tuned):
    runs, _, trials = tuned.page.partition('<section id="runs">')[2].partition("<details>")
    assert "trial" not in runs
    assert runs.count("<tr data-arm") == 4 * 3
    assert trials.split("</details>")[0].count("<tr data-arm") == 4 * 16
    assert trials.startswith("<summary>64 trials</summary>")


def test_the_list_of_trials_says_which_one_was_chosen(tuned):
    table = trials_table(tuned.report.tuned)
    chosen = [row for row in table.rows if row.cells[-1].text == "chosen"]
    assert [(row.arm, int(row.cells[1].text)) for row in chosen] == [
        (one.label, one.choice.trial) for one in tuned.report.tuned
    ]


def test_an_arm_whose_trials_all_diverged_has_a_row_and_one_that_waits_says_how_far_it_is(tmp_path):
    work_dir = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=1, recipes=[DETECTOR])
    specs = work_dir.specs()

    def keep(spec: RunSpec) -> bool:
        return spec.trial is not None or spec.regularizer not in ("none", "wrs")

    for spec in specs:
        run = work_dir.run(spec)
        if spec.trial is not None and spec.regularizer == "none":
            run.clear_result()
            run.write_result(Result(status=Status.DIVERGED, task="detection", iteration=5))
        if spec.trial == 1 and spec.regularizer == "wrs":
            run.clear_result()
    work_dir.register("tuned", [spec for spec in specs if keep(spec)], work_dir.tuning())
    report = collect(work_dir, with_images=True)
    cells = by_arm(report.comparison()[0])
    assert (cells["none"]["trials"], cells["none"]["bbox_mAP"], cells["none"]["runs"]) == (
        "2, 2 diverged",
        "–",
        "–",
    )
    assert cells["wrs"]["trials"] == "1 of 2"
    said = warnings(report.tuned)
    assert f"none on {DETECTOR}: all of its trials diverged, so it has no final runs." in said
    assert f"wrs on {DETECTOR}: 1 of its 2 trials are not through yet." in said
    assert "all of its trials diverged" in render(report)


def test_a_plan_that_reports_tune_says_nothing_of_effort(tmp_path):
    work_dir = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=1, recipes=[DETECTOR])
    for spec in work_dir.specs():
        run, result = work_dir.run(spec), work_dir.run(spec).result()
        assert result is not None
        run.clear_result()
        run.write_result(result.model_copy(update={"test": {}}))
    page = render(collect(work_dir, with_images=True))
    assert "Effort and sensitivity take the metric on test of every trial" in page
    assert "expected bbox_mAP on test" not in page


def test_a_logarithmic_axis_has_few_ticks():
    assert log_ticks(0.01, 1.0)["ticktext"] == ["0.01", "0.03", "0.1", "0.3", "1", "3"]
    assert log_ticks(1e-5, 0.1)["ticktext"] == ["1e-05", "0.0001", "0.001", "0.01", "0.1"]


def test_a_plot_of_one_arm_is_hidden_with_it(tuned):
    assert re.search(r'<figure class="plot" data-arm="wd">\s*<h3>[^<]*weight_decay of wd', tuned.page)


@pytest.mark.parametrize("width", [390, 1200])
def test_it_opens_without_a_complaint_and_nothing_sticks_out(browser, tuned, width):
    visit = open_page(browser, write_page(tuned.report), width)
    assert visit.page.locator("h2").all_inner_texts()[:5] == [
        *("Answer", "Comparison", "Effort", "Sensitivity", "Curves")
    ]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.page.get_by_label("wd", exact=True).uncheck()
    assert visit.page.locator('figure.plot[data-arm="wd"]:visible').count() == 0
    assert visit.page.locator('figure.plot[data-arm="wrs"]:visible').count() == 1
    assert visit.complaints == []


@pytest.mark.slow
def test_one_of_its_plots_can_be_saved_as_a_picture(browser, tuned, tmp_path):
    tool = Path(__file__).parents[3] / "tools" / "save_figure.py"
    picture = tmp_path / "effort.svg"
    # Playwright does not start twice in one process.
    command = [sys.executable, str(tool), str(write_page(tuned.report))]
    subprocess.run([*command, "expected bbox_mAP", str(picture)], check=True)
    assert picture.read_text().startswith("<svg") and "wrs_matched" in picture.read_text()
    several = subprocess.run([*command, "wrs", str(picture)], capture_output=True, text=True, check=False)
    assert several.returncode == 2 and "2 plots are called so" in several.stderr
