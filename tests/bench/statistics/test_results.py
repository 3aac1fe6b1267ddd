"""The rows of results.csv."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Best, Result, Status
from wrs_mm.bench.statistics.results import (
    RESULT_COLUMNS,
    gather,
    main_metrics,
    read_results,
    rows,
    same_at_last_and_best,
    write_results,
)


def spec(**others: object) -> RunSpec:
    plain = {"recipe": "r", "regularizer": "wd", "options": {}, "optimizer": "recipe", "seed": 0}
    return RunSpec.model_validate({**plain, "baseline": True, **others})


DONE = Result(
    status=Status.DONE,
    metrics={"mIoU": 40.0, "mAcc": 50.0},
    best=Best(metrics={"mIoU": 45.0, "mAcc": 49.0}, iteration=30, key="mIoU"),
    iteration=60,
)


def test_last_and_best_are_rows_of_their_own():
    measured = {
        (row["checkpoint"], row["metric"]): (row["value"], row["iteration"]) for row in rows(spec(), DONE)
    }
    assert measured == {
        ("last", "mIoU"): (40.0, 60),
        ("last", "mAcc"): (50.0, 60),
        ("best", "mIoU"): (45.0, 30),
        ("best", "mAcc"): (49.0, 30),
    }


def test_a_run_without_metrics_is_one_row():
    (row,) = rows(spec(), Result(status=Status.DIVERGED, iteration=8))
    assert (row["checkpoint"], row["metric"], row["value"], row["iteration"]) == ("last", "", None, 8)


def test_what_tells_arms_apart_survives_the_file(tmp_path: Path):
    listed = [
        spec(optimizer="AdamW", optimizer_options={"betas": [0.9, 0.99]}, learning_rate=1e-4),
        spec(optimizer="AdamW", learning_rate=3e-4, cfg_options={"model.depth": 50, "name": "é"}),
        spec(),
    ]
    path = tmp_path / "results.csv"
    write_results(gather((one, DONE) for one in listed), path)
    frame = read_results(path)
    assert tuple(frame.columns) == RESULT_COLUMNS
    kept = frame[["optimizer", "learning_rate", "cfg_options"]].drop_duplicates().fillna(-1)
    assert list(kept.itertuples(index=False, name=None)) == [
        ("AdamW", 3e-4, '{"model.depth": 50, "name": "é"}'),
        ("AdamW (betas=[0.9, 0.99])", 1e-4, "{}"),
        ("recipe", -1, "{}"),
    ]


def test_the_file_does_not_depend_on_the_order_in_which_runs_ended(tmp_path: Path):
    listed = [(spec(seed=seed, learning_rate=lr), DONE) for seed in (0, 1) for lr in (None, 0.1, 0.01)]
    paths = [tmp_path / name for name in ("one.csv", "other.csv")]
    write_results(gather(listed), paths[0])
    write_results(gather(reversed(listed)), paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_its_row(status):
    assert rows(spec(), Result(status=status))[0]["status"] == status.value


def test_main_metrics_are_those_of_the_task_that_were_measured():
    assert main_metrics("detection", {"segm_mAP", "bbox_mAP", "bbox_mAP_s"}) == ["bbox_mAP", "segm_mAP"]
    assert main_metrics("segmentation", {"bbox_mAP"}) == main_metrics("", {"mIoU"}) == []


@pytest.mark.parametrize(
    ("best", "same"),
    [
        ([{"mIoU": 40.0}, {"mIoU": 41.0}], {"segmentation"}),
        ([{"mIoU": 40.0}, {"mIoU": 41.5}], set()),
        ([{"mIoU": 40.0}, None], set()),
        ([None, None], set()),
    ],
)
def test_last_and_best_are_the_same_only_where_every_run_says_so(best, same):
    pairs = []
    for seed, (value, of_best) in enumerate(zip([40.0, 41.0], best, strict=True)):
        kept = None if of_best is None else Best(metrics=of_best, iteration=60, key="mIoU")
        result = Result(status=Status.DONE, task="segmentation", metrics={"mIoU": value}, best=kept)
        pairs.append((spec(seed=seed), result))
    pairs.append((spec(seed=2), Result(status=Status.DIVERGED, task="segmentation")))
    assert same_at_last_and_best(gather(pairs)) == same
