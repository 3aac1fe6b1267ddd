"""tools/why/pooled.py: pairs of a study's finals over all recipes, and an arm that it has not."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_tuning import DETECTOR, SEGMENTOR, make_tuned_work_dir

from wrs_mm.bench.runs.work_dir import WorkDir

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "why" / "pooled.py"


@pytest.fixture
def study(tmp_path: Path) -> WorkDir:
    return make_tuned_work_dir(tmp_path / "work", trials=2, seeds=3, recipes=[DETECTOR])


def test_differences_are_paired_by_recipe_and_seed(study: WorkDir) -> None:
    done = subprocess.run([sys.executable, SCRIPT, study.path, "wd"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {tuple(row.strip("| ").split(" | ")[:3]): row for row in done.stdout.splitlines()[2:]}
    finals = [spec for spec in study.listed().runs if spec.trial is None]
    test = {(s.regularizer, s.seed): study.run(s).result().test["bbox_mAP"] for s in finals}
    mean = statistics.mean(test["wrs", seed] - test["wd", seed] for seed in (0, 1, 2))
    assert f"| {mean:+.1f} [" in rows["all", "wrs", "3"] and f"| {mean:+.1f} [" in rows[DETECTOR, "wrs", "3"]
    assert not any(arm == "wd" for _, arm, _ in rows)


def test_recipes_are_compared_arm_by_arm_and_over_all(tmp_path: Path) -> None:
    study = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=3, recipes=[DETECTOR, SEGMENTOR])
    call = [sys.executable, SCRIPT, study.path, DETECTOR, "--recipes"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    head, _, *lines = done.stdout.splitlines()
    assert head == f"| arm | recipe | pairs | Δ to {DETECTOR} |"
    rows = {tuple(row.strip("| ").split(" | ")[:3]): row for row in lines}
    finals = [spec for spec in study.listed().runs if spec.trial is None]
    test = {}
    for spec in finals:
        metrics = study.run(spec).result().test
        test[spec.recipe, spec.regularizer, spec.seed] = metrics.get("bbox_mAP", metrics.get("mIoU"))
    arms = sorted({spec.regularizer for spec in finals})
    differences = {
        arm: [test[SEGMENTOR, arm, seed] - test[DETECTOR, arm, seed] for seed in (0, 1, 2)] for arm in arms
    }
    for arm in arms:
        assert f"| {statistics.mean(differences[arm]):+.1f} [" in rows[arm, SEGMENTOR, "3"]
    every = [value for own in differences.values() for value in own]
    assert f"| {statistics.mean(every):+.1f} [" in rows["all", SEGMENTOR, str(len(every))]


def test_an_arm_that_the_study_has_not_is_named_with_those_that_it_has(study: WorkDir) -> None:
    done = subprocess.run([sys.executable, SCRIPT, study.path, "wdd"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no final run of wdd that is done; its arms are: none; wd" in done.stderr
