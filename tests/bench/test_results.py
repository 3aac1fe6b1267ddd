"""``results.csv``."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from wrs_mm.bench.results import COLUMNS, gather, read_results, write_results
from wrs_mm.bench.runs import Best, Result, Status
from wrs_mm.bench.spec import RunSpec
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
            best = Best(metrics={"bbox_mAP": 16.5}, iteration=7, key="bbox_mAP")
            result = Result(status=Status.DONE, task="detection", dataset="d", metrics=metrics, best=best)
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
    assert len(again) == 2 * 2 * (2 + 1) + 1
    for column in ("recipe", "options", "seed", "status", "metric", "checkpoint", "baseline", "reason"):
        assert list(again[column]) == list(frame[column])
    assert again["value"].dropna().tolist() == frame["value"].dropna().tolist()


def test_last_and_best_checkpoint_have_rows_of_their_own():
    frame = gather(_pairs())
    best = frame[frame["checkpoint"] == "best"]
    assert set(best["value"]) == {16.5}
    assert set(best["iteration"]) == {7}
    assert 16.5 not in set(frame.loc[frame["checkpoint"] == "last", "value"])


def test_results_with_other_columns_are_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "results.csv", index=False)
    with pytest.raises(PlanError, match="other columns"):
        read_results(tmp_path / "results.csv")
    with pytest.raises(PlanError, match="does not exist"):
        read_results(tmp_path / "nothing.csv")
