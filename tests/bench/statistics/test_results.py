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
    reported,
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


def test_both_splits_are_rows_where_both_were_measured():
    result = DONE.model_copy(update={"test": {"mIoU": 38.0}})
    found = rows(spec(split="test", trial=2, settings={"lr": 0.1}), result)
    assert {(row["split"], row["checkpoint"], row["metric"]): row["value"] for row in found} == {
        ("tune", "last", "mIoU"): 40.0,
        ("tune", "last", "mAcc"): 50.0,
        ("tune", "best", "mIoU"): 45.0,
        ("tune", "best", "mAcc"): 49.0,
        ("test", "last", "mIoU"): 38.0,
    }
    assert {(row["trial"], row["settings"]) for row in found} == {(2, '{"lr": 0.1}')}
    assert {row["split"] for row in rows(spec(), result)} == {"tune"}


def test_what_diverged_has_a_row_of_each_split_that_it_was_to_be_measured_on():
    lost = rows(spec(split="test"), Result(status=Status.DIVERGED, iteration=8))
    assert [(row["split"], row["checkpoint"], row["metric"]) for row in lost] == [
        ("tune", "last", ""),
        ("test", "last", ""),
    ]


def test_what_is_reported_is_of_no_trial_and_of_the_split_of_the_run(tmp_path: Path):
    tested = DONE.model_copy(update={"test": {"mIoU": 38.0}})
    lost = Result(status=Status.DIVERGED)
    pairs = [
        (spec(split="test"), tested),
        (spec(split="test", seed=1), lost),
        (spec(split="test", seed=100, trial=0), tested),
        (spec(seed=100, trial=1), DONE),
    ]
    path = tmp_path / "results.csv"
    write_results(gather(pairs), path)
    assert ",100,0,done,test,mIoU,38.0," in path.read_text()
    for frame in (gather(pairs), read_results(path)):
        found = reported(frame)
        assert list(zip(found["seed"], found["status"], found["split"], found["metric"], strict=True)) == [
            (0, "done", "test", "mIoU"),
            (1, "diverged", "test", ""),
        ]
        assert list(reported(gather([(spec(), DONE)]))["split"].unique()) == ["tune"]
        assert len(reported(found)) == 2


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
