"""Runs that report test, in real processes: killed while they measure it, and beside runs that do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benches import TEST, VALIDATIONS, Bench, weights
from commands import PATIENCE
from forked import start_forked
from mmengine.config import Config

from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.resolve import config_hash
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity, Result
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.runs.worker import main_and_exit
from wrs_mm.bench.statistics.benchmark import read_benchmark

pytestmark = pytest.mark.slow

MORE = VALIDATIONS + TEST


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_run_killed_while_it_measures_test_trains_no_more_and_ends_as_one_that_was_not(bench):
    bench.recipe("killed", iterations=24, hook="break_at=24, how='kill test'", more=MORE)
    bench.recipe("steady", iterations=24, more=MORE)
    bench.plan("killed", "steady", regularizers="[wd]", split="test")
    assert "killed__wd__seed0__test failed: killed by SIGKILL" in bench.run(status=1)
    folders = [bench.run_folder(f"{name}__wd__seed0__test") for name in ("killed", "steady")]
    trained = (folders[0] / "iter_24.pth").stat().st_mtime_ns
    bench.run()

    assert len(bench.attempts(folders[0].name)) == 2
    assert (folders[0] / "iter_24.pth").stat().st_mtime_ns == trained
    killed, steady = (bench.result(folder.name) for folder in folders)
    assert killed.test == steady.test and killed.metrics == steady.metrics and killed.best == steady.best
    for name in ("validations.json", "train_validations.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    counts = [np.load(folder / "predictions" / "val.npz") for folder in folders]
    for name in ("intersect", "union", "image_ids"):
        assert np.array_equal(counts[0][name], counts[1][name])
    # Six images of test, not the four of tune; and what was measured there is neither tune's nor nothing.
    assert len(counts[0]["image_ids"]) == 6
    assert steady.test["mIoU"] != steady.metrics["mIoU"]
    assert (counts[0]["intersect"].sum(0) > 0).all()

    frame = bench.results()
    splits = frame.groupby("split")["checkpoint"].agg(set)
    assert splits["tune"] == {"last", "best"} and splits["test"] == {"last"}
    table = (bench.folder / "work" / "table.md").read_text()
    assert "Percent on test, of each run's last checkpoint" in table
    assert f"{steady.test['mIoU']:.2f}" in table and f"{steady.metrics['mIoU']:.2f}" not in table
    run = read_benchmark(WorkDir(bench.folder / "work"), details=True).runs[0]
    assert list(run.train_validations) == list(run.validations) == [6, 12, 18, 24]


def test_measuring_training_images_and_test_changes_no_weight(bench):
    bench.recipe("steady", iterations=24, more=MORE)
    bench.plan("steady", regularizers="[wd]")
    bench.run()
    bench.plan("steady", regularizers="[wd]", split="test")
    bench.run()
    plain, tested = (bench.run_folder(name) for name in ("steady__wd__seed0", "steady__wd__seed0__test"))
    assert not (plain / "train_validations.json").exists()
    assert len(json.loads((tested / "train_validations.json").read_text())) == 4
    assert (plain / "validations.json").read_bytes() == (tested / "validations.json").read_bytes()
    for iteration in (21, 24):
        one, other = weights(plain, iteration), weights(tested, iteration)
        assert all(torch.equal(one[key], other[key]) for key in one)
    # Its best checkpoint, saved in a validation, too: with the random states that training goes on from.
    kept = [torch.load(next(folder.glob("best_*")), weights_only=False) for folder in (plain, tested)]
    states = [checkpoint["random_states"]["ranks"][0]["torch"] for checkpoint in kept]
    assert torch.equal(*states)
    assert bench.result(plain.name).metrics == bench.result(tested.name).metrics


def test_a_trial_measures_test_and_keeps_no_predictions(bench, monkeypatch):
    bench.recipe("steady", iterations=12, more=MORE)
    bench.plan("steady", regularizers="[wd]", split="test")
    monkeypatch.chdir(bench.folder)
    (arm,) = resolve_arms(load_plan("plan.yaml"))
    run = Run(bench.folder / "trial")
    spec = arm.spec.model_copy(update={"trial": 0})
    identity = Identity(
        spec=spec, task="segmentation", dataset="data", config_hash=config_hash(arm.config.to_dict())
    )
    run.prepare(identity, Config(arm.config.to_dict()).pretty_text)
    process = start_forked(main_and_exit, (Path("trial"),))
    process.join(PATIENCE)
    assert process.exitcode == 0
    result = run.result()
    assert isinstance(result, Result) and result.test.keys() == result.metrics.keys()
    assert result.predictions is None and not (run.folder / "predictions").exists()
    assert not run.train_validations.exists()
