"""What the report's tables say, and labels.py for them.

They are tables/base.py, tables/over_images.py, tables/over_seeds.py, tables/over_sweeps.py, tables/runs.py,
tables/settings.py.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from made_up import DETECTOR, SEGMENTOR

from wrs_mm.bench.report.tables.base import Table
from wrs_mm.bench.report.tables.over_images import image_tables
from wrs_mm.bench.report.tables.over_seeds import SAME, comparison_tables
from wrs_mm.bench.report.tables.runs import runs_table
from wrs_mm.bench.statistics.over_images import IMAGE_COLUMNS
from wrs_mm.bench.statistics.over_seeds import summarize


def texts(table: Table) -> list[list[str]]:
    return [[cell.whole for cell in row.cells] for row in table.rows]


def names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def test_one_seed_is_shown_without_a_spread(results):
    (table,) = comparison_tables(summarize(results({"wd": {0: 60.0}, "wrs": {0: 61.5}})))
    assert names(table)[1:] == ["mIoU", "Δ mIoU", "mAcc", "Δ mAcc", "runs"]
    assert texts(table)[0][:3] == ["wd", "60.00 ± –", "baseline"]
    assert texts(table)[1][:3] == ["wrs", "61.50 ± –", "+1.50 ± –"]
    assert "may be chance" in table.caption
    assert "interval" not in table.caption


def test_three_seeds_are_shown_with_an_interval_and_lost_runs_are_counted(results):
    wd, wrs = {0: 60.0, 1: 62.0, 2: 67.0}, {0: 61.0, 1: 64.0, 2: 70.0}
    (table,) = comparison_tables(summarize(results({"wd": wd, "wrs": wrs, "none": {0: None, 1: 50.0}})))
    by_arm = {row[0]: row for row in texts(table)}
    assert by_arm["wrs"][2] == "+2.00 ± 1.00 [-0.48, +4.48]"
    assert by_arm["none"][-1] == "1 done, 1 diverged"
    assert "95 % interval" in table.caption
    assert "Student's t" in table.caption


def test_two_seeds_get_no_interval_and_the_caption_says_why(results):
    (table,) = comparison_tables(summarize(results({"wd": {0: 60.0, 1: 62.0}, "wrs": {0: 61.0, 1: 64.0}})))
    assert "[" not in texts(table)[1][2]
    assert "no interval from fewer than 3 seeds" in table.caption


def test_the_best_arm_is_marked(results):
    (table,) = comparison_tables(summarize(results({"wd": {0: 60.0}, "wrs": {0: 61.5}, "none": {0: 59.0}})))
    assert [row.arm for row in table.rows if row.cells[1].best] == ["wrs"]


def test_where_weight_decay_does_not_mean_the_same_the_caption_says_so(results):
    frames = []
    for optimizer in ("sgd", "adam (betas=[0.9, 0.95])", "adamw"):
        frame = results({"wd": {0: 60.0}, "projected": {0: 61.0}})
        frames.append(frame.assign(optimizer=optimizer))
    (table,) = comparison_tables(summarize(pd.concat(frames, ignore_index=True)))
    said = (
        "Weight decay is a term of the gradient with adam (betas=[0.9, 0.95]), sgd (L2), and taken off the "
        "weights with adamw, the arm projected (decoupled): equal numbers are not equal strengths."
    )
    assert said in table.caption


@pytest.mark.parametrize(
    ("optimizer", "arms", "said"),
    [
        ("recipe", ("wd", "wrs"), ""),
        ("recipe", ("wd", "projected"), "with a recipe's SGD or Adam (L2), and taken off the weights with"),
        ("adam", ("wd", "projected"), "with adam (L2), and taken off the weights with the arm projected"),
        ("NAdam", ("wd", "wrs"), "Weight decay is a term of the gradient with NAdam (L2)."),
        ("adamw", ("wd", "projected"), "is taken off the weights with adamw, the arm projected (decoupled)."),
        ("Adam (decoupled_weight_decay=True)", ("wd", "wrs"), "taken off the weights with Adam (decoupled_"),
    ],
)
def test_what_weight_decay_means_is_said_of_every_optimizer_that_is_named(results, optimizer, arms, said):
    frame = results({arm: {0: 60.0 + i} for i, arm in enumerate(arms)}).assign(optimizer=optimizer)
    (table,) = comparison_tables(summarize(frame))
    assert said in table.caption and ("Weight decay is" in table.caption) == bool(said)


def test_a_table_says_which_checkpoint_it_shows(results):
    frame = results({"wd": {0: 60.0}, "wrs": {0: 61.0}})
    best = frame.assign(checkpoint="best", value=frame["value"] + 5)
    both = pd.concat([frame, best], ignore_index=True)
    (last_table,), (best_table,) = (comparison_tables(summarize(both, name)) for name in ("last", "best"))
    assert texts(last_table)[0][1].startswith("60.00")
    assert texts(best_table)[0][1].startswith("65.00")
    assert "last checkpoint" in last_table.title and "last checkpoint" in last_table.caption
    assert "best checkpoint" in best_table.title and "optimistic" in best_table.caption


def test_a_caption_says_which_split_its_numbers_are_from(results):
    frame = results({"wd": {0: 60.0}, "wrs": {0: 61.0}})
    (tune,), (test,) = (comparison_tables(summarize(frame.assign(split=split))) for split in ("tune", "test"))
    assert tune.caption.startswith("Percent on tune (val), of each run's last checkpoint: ")
    assert test.caption.startswith("Percent on test, of each run's last checkpoint: ")


def test_optimizers_and_learning_rates_have_columns_only_where_they_differ(results):
    frame = results({"wd": {0: 60.0}, "wrs": {0: 61.0}})
    other = frame.assign(optimizer="AdamW", learning_rate=1e-3)
    (plain,) = comparison_tables(summarize(frame))
    (both,) = comparison_tables(summarize(pd.concat([frame, other], ignore_index=True)))
    assert "optimizer" not in names(plain)
    assert names(both)[1:3] == ["optimizer", "learning rate"]
    assert {(row[1], row[2]) for row in texts(both)} == {("AdamW", "0.001"), ("recipe", "recipe's")}


def test_arms_are_sorted_by_the_size_of_their_options():
    from wrs_mm.bench.statistics.benchmark import arm_order

    decays = [{"weight_decay": decay} for decay in (5e-2, 5e-5, 5e-4)]
    assert [d["weight_decay"] for d in sorted(decays, key=lambda d: arm_order("wd", d))] == [5e-5, 5e-4, 5e-2]


def test_a_table_over_images_says_what_its_intervals_cover():
    row = {
        **dict.fromkeys(IMAGE_COLUMNS, ""),
        **{"recipe": "r", "task": "segmentation", "optimizer": "recipe", "learning_rate": None},
        **{"regularizer": "wrs", "options": "{}", "seed": 3, "split": "test", "metric": "mIoU"},
        **{"run": "r-wrs"},
        **{"difference": 1.25, "low": -0.5, "high": 3.0, "images": 500, "resamples": 1000},
    }
    (table,) = image_tables(pd.DataFrame([row]))
    assert texts(table) == [["wrs", "3", "+1.25 [-0.50, +3.00]", "500"]]
    assert "over the images of test (1000 resamples" in table.caption
    assert "covers which images" in table.caption
    assert "does not cover the seed" in table.caption


def test_a_recipe_is_no_column_and_its_rows_stand_together(results):
    frame = results({"wd": {0: 60.0}, "wrs": {0: 61.0}})
    (table,) = comparison_tables(summarize(pd.concat([frame, frame.assign(recipe="other", run="x")])))
    assert [(recipe, len(rows)) for recipe, rows in table.sections()] == [("mini/pspnet", 2), ("other", 2)]
    assert not any("pspnet" in cell for row in texts(table) for cell in row)


def test_where_best_checkpoints_are_the_same_the_caption_says_so(results):
    (table,) = comparison_tables(summarize(results({"wd": {0: 60.0}})), {"segmentation"})
    assert table.caption.endswith(SAME)
    (table,) = comparison_tables(summarize(results({"wd": {0: 60.0}})), {"detection"})
    assert SAME not in table.caption


def test_an_interrupted_run_is_called_interrupted(results):
    frame = results({"wd": {0: 60.0, 1: None}})
    frame.loc[frame["status"] == "diverged", "status"] = "interrupted"
    (table,) = comparison_tables(summarize(frame))
    assert texts(table)[0][-1] == "1 done, 1 interrupted"


def test_runs_stand_under_their_recipe_without_its_name(benchmark):
    table = runs_table(benchmark.report.benchmark.runs)
    assert [recipe for recipe, _ in table.sections()] == [DETECTOR, SEGMENTOR]
    first = dict(table.sections())[SEGMENTOR][0].cells
    assert [cell.text for cell in first][:3] == ["none__seed0", "done", "100"]
    run = benchmark.report.benchmark.runs[0]
    for recipe in ("my__recipe", "r" * 200):
        renamed = replace(run, spec=run.spec.model_copy(update={"recipe": recipe}))
        ((heading, (row,)),) = runs_table([renamed]).sections()
        assert (heading, row.cells[0].text) == (recipe, run.spec.name_in_recipe)
