"""What a work dir holds, gathered once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import DETECTOR, SEGMENTOR, make_work_dir

from wrs_mm.bench.report.files import collect, write_tables
from wrs_mm.bench.report.page import write_page
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import (
    by_arm,
    by_scenario,
    first_of_each_arm,
    main_metric,
    read_benchmark,
    without_trials,
)


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> WorkDir:
    """Two seeds; of ``none`` seed 1 has diverged."""
    return make_work_dir(tmp_path_factory.mktemp("benchmark") / "work", seeds=2)


def test_a_report_reads_each_result_and_each_log_once(work_dir, monkeypatch):
    read: list[tuple[str, str]] = []

    def counted(name: str):
        original = getattr(Run, name)

        def read_once(run: Run):
            read.append((name, run.name))
            return original(run)

        return read_once

    monkeypatch.setattr(Run, "status", counted("status"))
    monkeypatch.setattr(Run, "identity", counted("identity"))
    report = collect(work_dir, with_images=True)
    write_tables(report)
    write_page(report)
    assert sorted(read) == sorted(
        (name, spec.id) for name in ("status", "identity") for spec in work_dir.specs()
    )


def test_statistics_and_report_touch_the_folders_of_runs_in_one_place():
    import wrs_mm.bench.report
    import wrs_mm.bench.statistics

    reading = ("runs.folder", ".specs()", ".run(spec)", "result.json", "Config.fromfile")
    readers = {
        f"{path.parent.name}/{path.stem}"
        for package in (wrs_mm.bench.report, wrs_mm.bench.statistics)
        for path in Path(package.__file__ or "").parent.rglob("*.py")
        if any(word in path.read_text() for word in reading)
    }
    # logs.py is what benchmark.py reads logs with.
    assert readers == {"statistics/benchmark", "statistics/logs"}


def test_details_are_read_only_where_they_are_asked_for(work_dir):
    plain, full = read_benchmark(work_dir), read_benchmark(work_dir, details=True)
    assert [run.spec for run in plain.runs] == [run.spec for run in full.runs] == work_dir.specs()
    assert all(run.config is None and not run.losses and not run.validations for run in plain.runs)
    done = next(run for run in full.runs if run.status is Status.DONE)
    assert done.config is not None and done.config["randomness"] == {"seed": done.spec.seed}
    assert list(done.losses) == list(range(10, 100, 10))
    assert list(done.validations) == [50, 100]


def test_what_a_run_reports_is_of_its_split_and_trials_are_not_compared(work_dir):
    done = next(run for run in read_benchmark(work_dir).runs if run.status is Status.DONE)
    assert done.result is not None and done.reported == done.result.metrics != {}
    result = done.result.model_copy(update={"test": {"mIoU": 1.0}})
    tested = replace(done, spec=done.spec.model_copy(update={"split": "test"}), result=result)
    assert tested.reported == {"mIoU": 1.0}
    assert replace(tested, result=None).reported == {}
    trial = replace(done, spec=done.spec.model_copy(update={"trial": 0}))
    assert without_trials([done, trial, tested]) == [done, tested]


def test_measures_of_training_images_are_read_as_validations_are(tmp_path):
    work_dir = make_work_dir(tmp_path / "work", seeds=1)
    run = work_dir.run(work_dir.specs()[0])
    assert not read_benchmark(work_dir, details=True).runs[0].train_validations
    run.train_validations.write_text('[{"iteration": 50, "metrics": {"coco/bbox_mAP": 0.25}}]')
    assert read_benchmark(work_dir, details=True).runs[0].train_validations == {50: {"bbox_mAP": 25.0}}
    assert not read_benchmark(work_dir).runs[0].train_validations


def test_arms_are_compared_within_a_recipe_and_the_baseline_comes_first(work_dir):
    scenarios = by_scenario(read_benchmark(work_dir, details=True).runs)
    assert [{run.spec.recipe for run in runs} for runs in scenarios] == [{DETECTOR}, {SEGMENTOR}]
    for runs in scenarios:
        assert list(by_arm(runs)) == ["wd", "none", "wrs"]
        assert [run.spec.regularizer for run in first_of_each_arm(runs)] == ["wd", "none", "wrs"]
    assert [main_metric(runs) for runs in scenarios] == ["bbox_mAP", "mIoU"]
    assert main_metric([]) is None


def test_a_config_is_read_where_what_it_imports_is_not_to_be_had(tmp_path):
    work_dir = make_work_dir(tmp_path / "work", seeds=1)
    spec = work_dir.specs()[0]
    work_dir.run(spec).config.write_text("custom_imports = dict(imports=['on_the_cluster_only'])\nlr = 0.1\n")
    run = read_benchmark(work_dir, details=True).runs[0]
    assert run.config is not None and run.config["lr"] == 0.1
