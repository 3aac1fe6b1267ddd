"""A plan and its work dir: which runs there are follows from the plan and from the results on disk.

Of real trials test_tuning.py makes sure.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_plans import SMALL, TUNING
from small_recipe import write_recipe

from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.study import Study
from wrs_mm.errors import PlanError

RATES = [0.0994, 0.689, 0.36, 0.0432]
"""The lr of the four trials."""


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Study]:
    """Makes the study of a plan in one and the same work dir."""
    write_recipe(tmp_path)
    (tmp_path / "work").mkdir()

    def _make(text: str = SMALL + TUNING) -> Study:
        (tmp_path / "plan.yaml").write_text(text)
        return Study(load_plan(tmp_path / "plan.yaml"), WorkDir(tmp_path / "work"))

    return _make


def _end(study: Study, values: list[float | Status], arm: str = "wd") -> None:
    """Give the trials of an arm, by their numbers, results; a status stands for one without metrics."""
    for planned in study.known():
        spec = planned.spec
        if spec.trial is None or spec.regularizer != arm:
            continue
        value = values[spec.trial]
        status = value if isinstance(value, Status) else Status.DONE
        metrics = {} if isinstance(value, Status) else {"mIoU": value}
        study.work_dir.run(spec).write_result(Result(status=status, task="segmentation", metrics=metrics))


def _finals(study: Study) -> list[tuple[str, int, dict]]:
    specs = [planned.spec for planned in study.known()]
    # Trials come first.
    assert [spec.trial is None for spec in specs] == sorted(spec.trial is None for spec in specs)
    return [(spec.regularizer, spec.seed, spec.settings) for spec in specs if spec.trial is None]


def test_finals_of_an_arm_are_known_once_all_of_its_trials_are_through(make):
    study = make()
    study.prepare()
    assert len(study.known()) == 3 * 4
    assert _finals(study) == []
    assert study.work_dir.to_come() == 3 * 2
    _end(study, [50, 60, Status.DIVERGED, 40], "wrs")
    assert _finals(study) == [("wrs", seed, {"lr": RATES[1]}) for seed in (0, 1)]
    study.prepare()
    assert study.work_dir.to_come() == 2 * 2
    _end(study, [50, 60, 70, 40], "wd")
    best = {"lr": RATES[2], "weight_decay": 0.00186}
    # Seeds change slowest, arms stand in the plan's order.
    assert _finals(study) == [
        (arm, seed, settings)
        for seed in (0, 1)
        for arm, settings in (("wd", best), ("wrs", {"lr": RATES[1]}))
    ]


def test_what_is_known_is_written_down_and_prepared_and_another_harness_finds_the_same(make):
    study = make()
    _prepared = study.prepare()
    for arm in ("none", "wd", "wrs"):
        _end(study, [50, 60, 70, 40], arm)
    prepared = study.prepare()
    assert len(prepared) == 3 * (4 + 2)
    listed = study.work_dir.specs()
    assert [study.work_dir.run(spec).name for spec in listed] == [run.name for run in prepared]
    assert all(run.identity() and run.config.is_file() for run in prepared)
    assert study.work_dir.tuning() == study.plan.tuning
    assert study.work_dir.to_come() == 0
    text = (study.work_dir.path / "plan.json").read_bytes()
    other = make()
    assert [planned.spec for planned in other.known()] == listed
    other.prepare()
    assert (study.work_dir.path / "plan.json").read_bytes() == text


def test_more_trials_contain_the_fewer_and_finals_that_no_longer_belong_to_the_plan_stay_on_disk(make):
    study = make()
    study.prepare()
    _end(study, [50, 60, 70, 40])
    before = {run.name for run in study.prepare()}
    longer = make(SMALL + TUNING.replace("trials: 4", "trials: 8"))
    runs = longer.prepare()
    assert sum(run.is_final() for run in runs) == 4
    assert {run.name for run in runs} & before == {name for name in before if "trial" in name}
    assert {name for name in before if "trial" not in name} <= {
        path.name for path in (longer.work_dir.path / "runs").iterdir()
    }
    for planned in longer.known():
        run = longer.work_dir.run(planned.spec)
        if planned.spec.regularizer == "wd" and not run.is_final():
            run.write_result(Result(status=Status.DONE, task="segmentation", metrics={"mIoU": 10}))
    # The best trial is the same as before, and so are the finals.
    assert {run.name for run in longer.prepare()} >= before


def test_an_arm_of_which_a_trial_failed_has_no_finals_and_a_line_that_says_so(make):
    study = make()
    study.prepare()
    _end(study, [50, 60, Status.FAILED, 40])
    study.prepare()
    assert _finals(study) == []
    assert study.work_dir.to_come() == 2 * 2
    assert study.complaints() == ["wd on small: no final runs, because 1 of its trials failed"]


def test_where_all_trials_diverge_one_line_says_what_to_move(make):
    study = make()
    study.prepare()
    _end(study, [Status.DIVERGED] * 4)
    study.prepare()
    assert _finals(study) == []
    assert study.work_dir.to_come() == 2 * 2
    (line,) = study.complaints()
    assert line == (
        "wd on small: no final runs, because all of its trials diverged; "
        "move tuning.search.lr or tuning.search.wd.weight_decay"
    )


def test_a_best_trial_at_the_border_names_the_key_to_widen(make):
    narrow = TUNING.replace("weight_decay: [1.0e-5, 1.0e-1]", "lr: [0.02, 1.0], weight_decay: [1e-5, 0.077]")
    for text, trial, keys in (
        (TUNING, 2, None),
        # By its scale, 0.0719 lies in the outermost twentieth below 0.1 and below 0.077.
        (TUNING, 0, "tuning.search.wd.weight_decay"),
        (narrow, 0, "tuning.search.wd.weight_decay"),
        (TUNING.replace("lr: [0.02, 1.0]", "lr: [0.02, 0.021]"), 1, None),
    ):
        study = make(SMALL + text)
        for planned in study.known():
            if planned.spec.regularizer == "wd" and planned.spec.trial is not None:
                value = 60.0 if planned.spec.trial == trial else 50.0
                run = study.work_dir.run(planned.spec)
                run.folder.mkdir(parents=True, exist_ok=True)
                run.clear_result()
                run.write_result(Result(status=Status.DONE, task="segmentation", metrics={"mIoU": value}))
        found = study.complaints()
        assert [line.rpartition("; ")[2] for line in found] == ([f"widen {keys}"] if keys else [])


def test_what_was_chosen_is_said_in_one_line(make):
    study = make()
    study.prepare()
    assert study.chosen_lines() == {}
    _end(study, [50, 60, 70.125, 40])
    assert study.chosen_lines() == {
        "wd on small": "wd on small: lr=0.36, weight_decay=0.00186 (trial 2 of 4, mIoU 70.12 on tune)"
    }


def test_an_arm_with_nothing_to_tune_needs_no_trials(make):
    fixed = SMALL.replace("[none, wd, wrs]", "[wd, {wrs: {lr: 0.05}}]")
    study = make(fixed + TUNING.replace("    wrs: {}\n", ""))
    assert {planned.spec.regularizer for planned in study.known() if planned.spec.trial is not None} == {"wd"}
    assert _finals(study) == [("wrs", seed, {"lr": 0.05}) for seed in (0, 1)]


def test_a_plan_without_tuning_has_all_of_its_runs_at_once(make):
    study = make(SMALL)
    assert len(study.prepare()) == 3 * 2
    assert (study.tuned(), study.complaints(), study.work_dir.tuning()) == ([], [], None)


def test_a_trial_trained_with_another_config_is_refused(make):
    study = make()
    study.prepare()
    _end(study, [50, 60, 70, 40])
    changed = make(SMALL + TUNING + "cfg_options: {train_dataloader.batch_size: 4}\n")
    with pytest.raises(PlanError, match="was trained with another config"):
        changed.prepare()
