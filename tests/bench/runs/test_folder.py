"""A run on disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity, Progress, Result, Status
from wrs_mm.errors import PlanError


def identity(digest: str = "a") -> Identity:
    spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)
    return Identity(spec=spec, task="segmentation", dataset="d", config_hash=digest)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "runs" / "r__wd__seed0")
    run.prepare(identity(), "a = 1\n")
    return run


def test_the_states_of_a_run_follow_its_folder(run):
    assert run.status() is Status.PENDING
    with run.lock():
        assert run.status() is Status.RUNNING
    run.write_progress(Progress(iteration=3, iterations=10))
    # Killed outright: progress, no result, nobody there.
    assert run.status() is Status.INTERRUPTED
    for status in (Status.FAILED, Status.INTERRUPTED, Status.DONE):
        run.write_result(Result(status=status))
        assert run.status() is status


@pytest.mark.parametrize("status", [Status.DONE, Status.DIVERGED])
def test_a_final_result_is_never_replaced(run, status):
    run.write_result(Result(status=status))
    with pytest.raises(RuntimeError, match="already has a result"):
        run.write_result(Result(status=Status.FAILED))
    assert run.result() == Result(status=status)


def test_a_lock_of_another_process_is_seen_and_ends_with_it(run):
    code = f"""
from pathlib import Path
from wrs_mm.bench.runs.folder import Run
with Run(Path({str(run.folder)!r})).lock():
    print("held", flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert run.status() is Status.RUNNING
    process.kill()
    process.wait()
    assert run.status() is Status.PENDING


def test_what_was_trained_with_another_config_is_kept_and_refused(run):
    run.write_result(Result(status=Status.DONE))
    with pytest.raises(PlanError, match="trained with another config"):
        run.prepare(identity("b"), "a = 2\n")
    assert run.config.read_text() == "a = 1\n"
    assert run.result() == Result(status=Status.DONE)


def test_a_run_that_was_not_trained_follows_its_plan(run):
    run.prepare(identity("b"), "a = 2\n")
    assert run.config.read_text() == "a = 2\n"


def test_whoever_may_only_read_sees_what_runs(run):
    run.folder.joinpath(".lock").touch()
    before = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    with run.lock():
        assert run.is_running()
    assert not run.is_running()
    assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before


def test_a_config_that_a_crash_has_cut_off_is_written_again(run):
    run.config.write_text("a = ")
    run.prepare(identity(), "a = 1\n")
    assert run.config.read_text() == "a = 1\n"


def test_a_paused_run_is_through_until_it_may_go_on(run):
    assert run.limit() is None and not run.is_through()
    run.set_limit(150)
    assert run.limit() == 150 and not run.is_through()
    run.write_result(Result(status=Status.PAUSED, limit=150))
    assert run.is_through() and not run.is_final() and run.status() is Status.PAUSED
    run.set_limit(300)
    assert not run.is_through()
    run.set_limit(None)
    assert run.limit() is None and not run.is_through()


def test_a_stopped_run_is_final_and_may_be_paused_again(run):
    run.set_limit(150)
    run.stop("not paused yet")
    assert run.result() is None
    run.write_result(Result(status=Status.PAUSED, limit=150, metrics={"mIoU": 40.0}))
    run.stop("number 5 of 5")
    result = run.result()
    assert run.is_final() and result is not None
    assert (result.status, result.reason, result.metrics) == (Status.STOPPED, "number 5 of 5", {"mIoU": 40.0})
    run.unstop()
    assert run.is_through() and not run.is_final() and run.status() is Status.PAUSED
    run.unstop()
    assert run.status() is Status.PAUSED
