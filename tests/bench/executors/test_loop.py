"""The loop over runs, with processes that only pretend."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from run_folders import make_runs

from wrs_mm.bench.executors import Ended
from wrs_mm.bench.executors.loop import run_all
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Result, Status


class Job:
    """Ends after some looks, with or without writing a result."""

    def __init__(self, run: Run, outcome: Status | None, looks: int = 2) -> None:
        self.run, self.outcome, self.looks = run, outcome, looks
        self.stopped = self.killed = False

    def ended(self) -> Ended | None:
        if self.killed:
            return Ended("killed by SIGKILL")
        self.looks -= 1
        if self.looks > 0:
            return None
        if self.looks == 0 and self.outcome is not None:
            self.run.write_result(Result(status=self.outcome))
        return Ended("exit status 0" if self.outcome else "killed by SIGSEGV")

    def stop(self) -> None:
        self.stopped = True
        self.outcome, self.looks = Status.INTERRUPTED, 1

    def kill(self) -> None:
        self.killed = True


class Executor:
    """Two slots; remembers what it was given."""

    slots = 2
    detached = False

    def __init__(self, outcomes: dict[str, Status | None], looks: int = 2) -> None:
        self.outcomes, self.looks = outcomes, looks
        self.jobs: list[Job] = []
        self.most = 0

    def prepare(self) -> None:
        pass

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def submit(self, run: Run) -> Job:
        job = Job(run, self.outcomes.get(run.name, Status.DONE), self.looks)
        self.jobs.append(job)
        self.most = max(self.most, sum(not job.killed for job in self.jobs))
        return job

    @property
    def submitted(self) -> list[str]:
        return [job.run.name for job in self.jobs]


class Nobody:
    """Shows nothing."""

    def update(self) -> None:
        pass


class CtrlC(Nobody):
    """Somebody presses Ctrl-C at the third look."""

    looks = 0

    def update(self) -> None:
        self.looks += 1
        if self.looks == 3:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("wrs_mm.bench.executors.loop.POLL", 0.001)
    monkeypatch.setattr("wrs_mm.bench.executors.loop.GRACE", 0.05)


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return make_runs(tmp_path, 5)


def test_all_runs_go_in_order_and_never_more_than_there_are_slots(runs):
    executor = Executor({})
    run_all(runs, executor, Nobody())
    assert executor.submitted == [run.name for run in runs]
    assert executor.most == 2
    assert {run.status() for run in runs} == {Status.DONE}


def test_finished_runs_are_not_repeated_and_broken_ones_are(runs):
    for run, status in zip(runs, ("done", "diverged", "failed", "interrupted"), strict=False):
        run.write_result(Result(status=Status(status)))
    executor = Executor({})
    run_all(runs, executor, Nobody())
    assert executor.submitted == ["run2", "run3", "run4"]


def test_a_process_that_dies_without_a_word_is_a_failed_run_and_the_others_go_on(runs):
    runs[1].log.write_text("".join(f"line {n}\n" for n in range(80)))
    run_all(runs, Executor({"run1": None}), Nobody())
    result = runs[1].result()
    assert result is not None
    assert (result.status, result.reason) == (Status.FAILED, "killed by SIGSEGV")
    assert result.log_tail == [f"line {n}" for n in range(30, 80)]
    assert [run.status() for run in runs].count(Status.DONE) == 4


class Other(Nobody):
    """Another harness, which has the first run for some looks and then ends, with or without a result."""

    def __init__(self, run: Run, outcome: Status | None, looks: int) -> None:
        self.run, self.outcome, self.looks = run, outcome, looks
        self.claim = run.claim()
        self.claim.acquire(timeout=0)

    def update(self) -> None:
        self.looks -= 1
        if self.looks == 0:
            if self.outcome is not None:
                self.run.write_result(Result(status=self.outcome))
            self.claim.release()


def test_a_run_of_another_harness_is_left_to_it(runs):
    executor = Executor({})
    assert run_all(runs, executor, Other(runs[0], None, looks=10**6)) == [runs[0]]
    assert executor.submitted == [run.name for run in runs[1:]]


@pytest.mark.parametrize("outcome", [Status.DONE, Status.FAILED, None])
def test_for_an_awaited_run_the_harness_stays_until_it_has_ended_elsewhere(runs, outcome):
    executor = Executor({})
    # All others are through long before.
    other = Other(runs[0], outcome, looks=40)
    assert run_all(runs, executor, other, awaited=runs[:1]) == []
    # What was left unfinished is taken over, what has failed there has failed.
    assert ("run0" in executor.submitted) is (outcome is None)
    result = runs[0].result()
    assert result is not None and result.status is (outcome or Status.DONE)


def test_all_runs_are_taken_and_none_is_free(runs):
    claims = [run.claim() for run in runs]
    for claim in claims:
        claim.acquire(timeout=0)
    executor = Executor({})
    assert run_all(runs, executor, Nobody()) == runs
    assert executor.submitted == []


@pytest.mark.parametrize(
    ("outcome", "taken"),
    [(Status.DONE, False), (Status.FAILED, False), (Status.INTERRUPTED, True), (None, True)],
)
def test_what_another_harness_leaves_unfinished_is_taken_over(runs, outcome, taken):
    executor = Executor({}, looks=8)
    assert run_all(runs, executor, Other(runs[0], outcome, looks=2)) == []
    assert ("run0" in executor.submitted) is taken


def test_a_result_that_a_late_worker_has_written_is_kept(runs):
    class Late(Executor):
        def submit(self, run: Run) -> Job:
            job = super().submit(run)
            # Its predecessor, asked to stop, finishes after all.
            run.write_result(Result(status=Status.DONE, reason="by the predecessor"))
            return job

    runs[0].write_result(Result(status=Status.INTERRUPTED))
    run_all(runs[:1], Late({"run0": None}), Nobody())
    assert runs[0].result() == Result(status=Status.DONE, reason="by the predecessor")


def test_jobs_of_a_cluster_go_on_without_the_harness(runs):
    executor = Executor({}, looks=10**6)
    executor.detached = True
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, executor, CtrlC())
    assert not any(job.stopped or job.killed for job in executor.jobs)


def test_an_old_failure_is_not_taken_for_the_new_outcome(runs):
    runs[0].write_result(Result(status=Status.FAILED, reason="last week"))
    run_all(runs[:1], Executor({"run0": None}), Nobody())
    result = runs[0].result()
    assert result is not None
    assert result.reason == "killed by SIGSEGV"


def test_ctrl_c_stops_what_runs_and_leaves_the_rest_alone(runs):
    executor = Executor({}, looks=10**6)
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, executor, CtrlC())
    assert all(job.stopped and job.killed for job in executor.jobs)
    assert [run.status() for run in runs] == [Status.INTERRUPTED] * 2 + [Status.PENDING] * 3


def test_a_run_waits_for_its_pretraining_and_others_go_on(tmp_path):
    before, after, other = make_runs(tmp_path, 3)
    executor = Executor({})
    # Though it comes first in the queue.
    left = run_all([after, before, other], executor, Nobody(), pretrained={after.name: before})
    assert executor.submitted == [before.name, other.name, after.name] and left == []
    assert [run.status() for run in (before, after, other)] == [Status.DONE] * 3


def test_what_a_failed_pretraining_leaves_waiting_is_neither_run_nor_said_to_be_elsewhere(tmp_path):
    before, after = make_runs(tmp_path, 2)
    executor = Executor({before.name: None})
    # A trial is awaited as its pretraining is: finals depend on it.
    both = [before, after]
    assert run_all(both, executor, Nobody(), awaited=both, pretrained={after.name: before}) == []
    assert executor.submitted == [before.name]
    assert (before.status(), after.status()) == (Status.FAILED, Status.PENDING)
    again = Executor({})
    assert run_all([before, after], again, Nobody(), pretrained={after.name: before}) == []
    assert again.submitted == [before.name, after.name]


def test_what_starts_from_a_diverged_pretraining_has_diverged_without_a_process(tmp_path):
    before, after = make_runs(tmp_path, 2)
    executor = Executor({before.name: Status.DIVERGED})
    assert run_all([before, after], executor, Nobody(), pretrained={after.name: before}) == []
    assert executor.submitted == [before.name]
    assert after.status() is Status.DIVERGED
    assert after.result().reason.startswith(f"its pretraining {before.name} diverged")


def test_a_pretraining_that_another_harness_has_is_waited_for(tmp_path):
    before, after = make_runs(tmp_path, 2)

    class Ends(Nobody):
        looks = 0

        def update(self):
            self.looks += 1
            if self.looks == 5:
                before.write_result(Result(status=Status.DONE))
                claim.release()

    executor = Executor({})
    with before.claim() as claim:
        left = run_all([before, after], executor, Ends(), [before], {after.name: before})
    assert executor.submitted == [after.name] and left == []
