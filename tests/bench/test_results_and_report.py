"""``results.csv`` and the tables made from it."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from wrs_mm.bench.plan import RunSpec
from wrs_mm.bench.report import caption, tables, to_markdown, to_rich, write_report
from wrs_mm.bench.results import COLUMNS, gather, read_results, write_results
from wrs_mm.bench.runs import Result, Status, WorkDir
from wrs_mm.bench.statistics import summarize
from wrs_mm.errors import PlanError


def _pairs() -> list[tuple[RunSpec, Result]]:
    pairs = []
    for seed in range(2):
        for arm, options in (("wd", {"weight_decay": 1e-4}), ("wrs", {})):
            spec = RunSpec(
                recipe='ünïcode, "quoted"',
                regularizer=arm,
                options=options,
                optimizer="recipe",
                seed=seed,
                baseline=arm == "wd",
            )
            metrics = {"bbox_mAP": 15.3 + seed, "bbox_mAP_50": 40.1}
            result = Result(status=Status.DONE, task="detection", dataset="d", metrics=metrics)
            pairs.append((spec, result))
    failed = pairs[0][0].model_copy(update={"seed": 7})
    lost = Result(status=Status.FAILED, task="detection", dataset="d", reason="OSError: full")
    pairs.append((failed, lost))
    return pairs


def test_rows_do_not_depend_on_the_order_of_the_runs(tmp_path):
    pairs = _pairs()
    write_results(gather(pairs), tmp_path / "a.csv")
    random.Random(0).shuffle(pairs)
    write_results(gather(pairs), tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_results_survive_writing_and_reading(tmp_path):
    frame = gather(_pairs())
    write_results(frame, tmp_path / "results.csv")
    again = read_results(tmp_path / "results.csv")
    assert tuple(again.columns) == COLUMNS
    assert len(again) == 2 * 2 * 2 + 1
    for column in ("recipe", "options", "seed", "status", "metric", "baseline", "reason"):
        assert list(again[column]) == list(frame[column])
    assert again["value"].dropna().tolist() == frame["value"].dropna().tolist()


def test_results_with_other_columns_are_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "results.csv", index=False)
    with pytest.raises(PlanError, match="other columns"):
        read_results(tmp_path / "results.csv")
    with pytest.raises(PlanError, match="does not exist"):
        read_results(tmp_path / "nothing.csv")


def test_one_seed_is_shown_without_a_spread(results):
    summary = summarize(results({"wd": {0: 60.0}, "wrs": {0: 61.5}}))
    (table,) = tables(summary)
    assert table.header[2:] == ["mIoU", "difference", "mAcc", "difference", "runs"]
    assert table.rows[0][1:4] == ["wd", "60.00 ± –", "baseline"]
    assert table.rows[1][1:4] == ["wrs", "61.50 ± –", "+1.50 ± –"]
    assert "may be chance" in caption(summary)
    assert "interval" not in caption(summary)


def test_three_seeds_are_shown_with_an_interval_and_lost_runs_are_counted(results):
    wd, wrs = {0: 60.0, 1: 62.0, 2: 67.0}, {0: 61.0, 1: 64.0, 2: 70.0}
    summary = summarize(results({"wd": wd, "wrs": wrs, "none": {0: None, 1: 50.0}}))
    (table,) = tables(summary)
    by_arm = {row[1]: row for row in table.rows}
    assert by_arm["wrs"][3] == "+2.00 ± 1.00 [-0.48, +4.48]"
    assert by_arm["none"][-1] == "1 done, 1 diverged"
    assert "95 % interval" in caption(summary)


def test_markdown_has_as_many_cells_in_each_row_and_says_which_checkpoint():
    text = to_markdown("a | b", summarize(gather(_pairs())))
    assert "last checkpoint" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2
    assert len({line.count("|") for line in lines}) == 1
    assert "wd (weight_decay=0.0001)" in text
    assert "1 failed" in text


def test_the_terminal_shows_intervals_in_brackets(results):
    from rich.console import Console

    seeds = range(3)
    summary = summarize(results({"wd": dict.fromkeys(seeds, 1.0), "wrs": {0: 2.0, 1: 3.0, 2: 5.0}}))
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in to_rich(summary):
        console.print(table)
    assert "+2.33 ± 1.53 [-1.46, +6.13]" in console.export_text()


def test_a_benchmark_without_any_result_still_has_its_files(tmp_path):
    work_dir = WorkDir(tmp_path)
    work_dir.adopt("nothing yet", [])
    summary = write_report(work_dir, gather([]))
    assert summary.empty
    assert (tmp_path / "table.md").read_text().startswith("# nothing yet")
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1
