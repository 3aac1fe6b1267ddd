"""The folder of a benchmark."""

from __future__ import annotations

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.errors import PlanError

SPEC = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)


def test_a_work_dir_belongs_to_one_plan(tmp_path):
    work_dir = WorkDir(tmp_path / "d")
    work_dir.check("mine")
    work_dir.path.mkdir()
    work_dir.register("mine", [SPEC])
    work_dir.check("mine")
    with pytest.raises(PlanError, match="belongs to the plan 'mine', not 'yours'"):
        work_dir.check("yours")
    assert work_dir.specs() == [SPEC]


def test_a_work_dir_says_how_arms_are_tuned_and_what_is_to_come(tmp_path):
    work_dir = WorkDir(tmp_path)
    work_dir.register("mine", [SPEC])
    assert (work_dir.tuning(), work_dir.to_come()) == (None, 0)
    search = {
        "lr": [0.1, 1],
        "wd": {"a": {"choices": [1, "b"]}, "c": {"low": 0, "high": 1, "scale": "linear"}},
    }
    tuning = Tuning(trials=2, search=search, seeds=[9])
    work_dir.register("mine", [SPEC], tuning, 4)
    assert (work_dir.tuning(), work_dir.to_come()) == (tuning, 4)
    assert work_dir.specs() == [SPEC]


def test_a_folder_of_somebody_else_is_no_work_dir(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(PlanError, match="holds other files"):
        WorkDir(tmp_path).check("mine")
    with pytest.raises(PlanError, match="is a file"):
        WorkDir(tmp_path / "thesis.tex").check("mine")
    with pytest.raises(PlanError, match="is not the work dir of a benchmark"):
        WorkDir(tmp_path).specs()
