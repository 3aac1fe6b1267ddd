"""A plan and its work dir: which runs there are follows from the plan and from the results on disk.

Of real trials test_tuning.py makes sure.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_plans import SMALL, TUNING
from small_recipe import RECIPE, write_recipe

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


def test_where_they_diverged_with_their_pretraining_that_is_what_the_line_says(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pretrainings are below the folder that commands run in
    study = make(f"{SMALL}{TUNING}pretraining: [{{recipe: small, regularizers: [wd]}}]\n")
    pretrainings = {run.spec.seed: run.spec for run in study.known() if run.spec.pretraining is not None}
    study.prepare()
    study.work_dir.run(pretrainings[0]).write_result(Result(status=Status.DIVERGED))
    _end(study, [Status.DIVERGED] * 4, "wrs")
    (line,) = study.complaints()
    assert line.startswith("wrs on small from wd: no final runs, because its pretraining small__wd__seed0")
    assert line.endswith(" diverged")


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


def _validate(study: Study, values: dict[int, list[float]], **ended: Status) -> None:
    """Give trials of wd what they measured at their validations so far, in percent, and have them pause."""
    for planned in study.known():
        spec = planned.spec
        if spec.regularizer != "wd" or spec.trial not in values:
            continue
        run = study.work_dir.run(spec)
        limit, measured = run.limit(), values[spec.trial]
        entries = [{"iteration": 150 * n, "metrics": {"mIoU": v}} for n, v in enumerate(measured, 1)]
        run.validations.write_text(json.dumps(entries))
        status = ended.get(f"t{spec.trial}", Status.DONE if limit is None else Status.PAUSED)
        result = Result(
            status=status,
            task="segmentation",
            metrics={"mIoU": measured[-1]} if measured else {},
            limit=limit,
        )
        run.clear_result()
        run.write_result(result)


def _states(study: Study) -> list[tuple[str, int | None]]:
    runs = [
        study.work_dir.run(p.spec)
        for p in study.known()
        if p.spec.regularizer == "wd" and p.spec.trial is not None
    ]
    return [(run.status().value, run.limit()) for run in runs]


@pytest.fixture
def halving(make, tmp_path) -> Callable[..., Study]:
    """Makes a study of trials that are weeded out after 150 and 300 of 600 iterations."""
    loop = "train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=150)\n"
    write_recipe(tmp_path, text=RECIPE + loop)
    text = SMALL + TUNING + "  halving: {rungs: [0.25, 0.5], keep: 0.5}\n"
    return lambda trials=4, seeds="[100]": make(
        text.replace("trials: 4", f"trials: {trials}").replace("[100]", seeds)
    )


def test_halving_lets_the_better_trials_go_on_and_the_best_of_them_is_chosen(halving):
    study = halving()
    study.prepare()
    assert _states(study) == [("pending", 150)] * 4
    _validate(study, {0: [50], 1: [60], 2: [70]})
    study.prepare()
    assert _states(study) == [("paused", 150)] * 3 + [("pending", 150)]
    assert all(study.work_dir.run(p.spec).is_through() for p in study.known()[1:9:3])
    _validate(study, {3: []}, t3=Status.DIVERGED)
    study.prepare()
    assert _states(study) == [("stopped", 150), ("paused", 300), ("paused", 300), ("diverged", 150)]
    # Those that may go on are not through.
    assert [study.work_dir.run(p.spec).is_through() for p in study.known()[1:12:3]] == [
        True,
        False,
        False,
        True,
    ]
    _validate(study, {1: [60, 80], 2: [70, 75]})
    study.prepare()
    assert _states(study) == [("stopped", 150), ("paused", None), ("stopped", 300), ("diverged", 150)]
    assert _finals(study) == []
    # What a stopped trial measured on its way is no score, however good.
    _validate(study, {1: [60, 80, 61, 62]})
    study.prepare()
    assert [settings["lr"] for arm, _, settings in _finals(study)] == [RATES[1]] * 2


def test_a_longer_search_takes_up_what_was_stopped_and_is_now_among_the_better(halving):
    study = halving()
    study.prepare()
    _validate(study, {0: [50], 1: [60], 2: [70], 3: [80]})
    study.prepare()
    assert [state for state, _ in _states(study)] == ["stopped", "stopped", "paused", "paused"]
    longer = halving(8)
    longer.prepare()
    # As long as the new ones have not come as far, nobody goes on.
    assert _states(longer) == [("paused", 150)] * 4 + [("pending", 150)] * 4
    _validate(longer, {number: [0.0] for number in range(4, 8)})
    longer.prepare()
    assert [limit for _, limit in _states(longer)] == [300] * 4 + [150] * 4
    assert [state for state, _ in _states(longer)[4:]] == ["stopped"] * 4


def test_without_halving_nothing_keeps_a_trial_from_its_end(halving, make):
    study = halving()
    study.prepare()
    _validate(study, {0: [50], 1: [60], 2: [70], 3: [80]})
    study.prepare()
    whole = make(SMALL + TUNING)
    whole.prepare()
    assert {limit for _, limit in _states(whole)} == {None}
    assert not any(whole.work_dir.run(planned.spec).is_through() for planned in whole.known())


def test_of_a_trial_that_diverges_with_one_seed_the_other_one_is_stopped_and_final_runs_follow_at_once(
    halving,
):
    study = halving(2, "[100, 101]")
    study.prepare()
    for planned in study.known():
        spec, run = planned.spec, study.work_dir.run(planned.spec)
        diverged = (spec.trial, spec.seed) == (1, 101)
        metrics = {} if diverged else {"mIoU": 50.0 + (spec.trial or 0)}
        if not diverged:
            entries = [{"iteration": 150 * n, "metrics": metrics} for n in (1, 2, 3, 4)]
            run.validations.write_text(json.dumps(entries if spec.trial == 0 else entries[:1]))
        status = Status.DONE if spec.trial == 0 else Status.DIVERGED if diverged else Status.PAUSED
        run.write_result(Result(status=status, task="segmentation", metrics=metrics, limit=150))
    # Trial 1 has paused with one seed and diverged with the other: nothing but trial 0 is left to choose.
    runs = study.prepare()
    assert {settings["lr"] for _, _, settings in _finals(study)} == {RATES[0]}
    assert len(_finals(study)) == 3 * 2 and len(runs) == 3 * (2 * 2 + 2)
    assert study.work_dir.to_come() == 0


def test_a_pretraining_with_another_batch_than_runs_have_here_is_told_of_while_they_are_to_come(
    make, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    study = make(f"{SMALL}pretraining: [none, {{recipe: small, regularizers: [wd]}}]\n")
    known = [planned.spec for planned in study.known()]
    first, *_ = pretrainings = [study.work_dir.run(spec) for spec in known if spec.pretraining is not None]
    for run in pretrainings:
        run.folder.mkdir(parents=True)
        run.weights.touch()
        run.write_result(Result(status=Status.DONE, processes=2))
    assert study.pretrained_otherwise(2) == []
    lines = study.pretrained_otherwise(8)
    assert len(lines) == len(pretrainings) == 2
    assert f"{first.name} was trained by 2 at a time and runs here are by 8" in lines[0]
    assert f"delete {first.folder} to pretrain it again" in lines[0]
    for spec in known:
        if spec.pretraining is None:
            run = study.work_dir.run(spec)
            run.folder.mkdir(parents=True)
            run.write_result(Result(status=Status.DONE))
    assert study.pretrained_otherwise(8) == []
