"""The process of a run: it writes the result, once.

Processes that are killed, stopped and left alone are in tests/bench/test_bench.py.
"""

from __future__ import annotations

import pytest

from wrs_mm.bench.runs import worker
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity, Result, Status


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch, own_signals: None) -> list[Status]:
    """How the next attempts end, in place of a training."""
    left: list[Status] = []

    def work(run: Run, identity: Identity, launcher: str) -> Result:
        assert run.is_running()
        assert run.result() is None
        return Result(status=left.pop(0), config_hash=identity.config_hash)

    monkeypatch.setattr(worker, "work", work)
    return left


def test_a_run_is_worked_on_until_it_has_a_final_result(runs, outcomes):
    outcomes += [Status.FAILED, Status.INTERRUPTED, Status.DONE]
    run = runs[0]
    for status, code in ((Status.FAILED, 1), (Status.INTERRUPTED, 1), (Status.DONE, 0), (Status.DONE, 0)):
        assert worker.main(run.folder) == code
        assert run.result() == Result(status=status, config_hash="h")
    assert outcomes == []
    assert not run.is_running()


def test_half_files_of_an_attempt_that_was_killed_go(runs, outcomes):
    half = runs[0].folder / ".iter_5.pth.17.tmp"
    half.touch()
    outcomes += [Status.DONE]
    worker.main(runs[0].folder)
    assert not half.exists()


def test_of_several_processes_the_first_writes_the_result(runs, outcomes, monkeypatch):
    monkeypatch.setattr(worker, "work", lambda *arguments: Result(status=Status.DONE))
    monkeypatch.setenv("RANK", "1")
    assert worker.main(runs[0].folder, "pytorch") == 0
    assert runs[0].result() is None
    monkeypatch.setenv("RANK", "0")
    assert worker.main(runs[0].folder, "pytorch") == 0
    assert runs[0].result() == Result(status=Status.DONE)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="is not a run"):
        worker.main(tmp_path)
