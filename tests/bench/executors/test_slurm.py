"""Runs under a real Slurm of two nodes, where one is installed: preempted, requeued, found again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import local_slurm
import pytest
import torch
from benches import TEST, Bench, weights
from commands import PATIENCE, wait_until
from kills import without_times

from wrs_mm.bench.executors.slurm import SlurmExecutor

pytestmark = local_slurm.needs_slurm

RUN = "held__wd__seed0"
OPTIONS = ("--executor", "slurm", "--slurm-partition", "main", "--slurm-time", "30")


@pytest.fixture(scope="module")
def slurm(slurm_conf: str) -> Iterator[None]:
    """A running Slurm, which this process's environment leads to."""
    pytest.importorskip("submitit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", slurm_conf)
        yield


@pytest.fixture(scope="module")
def plan(slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A plan of one run, and its results from this machine."""
    bench = Bench(tmp_path_factory.mktemp("bench"))
    bench.recipe("held", iterations=40, hook="hold_at=18")
    bench.plan("held", regularizers="[wd]")
    bench.let_go()
    bench.run("--jobs", "1", work_dir="here")
    return bench


@pytest.fixture
def bench(plan: Bench) -> Bench:
    """The plan, whose run will wait half-way until the test lets it go."""
    plan.hold()
    return plan


def jobs() -> dict[str, str]:
    """State of each job that waits or runs, by its number."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--format=%i %T"], capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in listed.stdout.splitlines())


def nodes(job: str) -> int:
    """How many machines a job is on."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--format=%D", "--jobs", job], capture_output=True, text=True, check=True
    )
    return int(listed.stdout)


def release(job: str) -> None:
    """Start a job that was put back at once: Slurm makes it wait for two minutes."""
    end = time.monotonic() + PATIENCE
    while jobs().get(job) != "PENDING":
        assert time.monotonic() < end, f"{job} was not put back: {jobs()}"
        time.sleep(0.5)
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)


def requeue(job: str) -> None:
    """What an administrator does."""
    subprocess.run(["scontrol", "requeue", job], check=True)


def warn(job: str) -> None:
    """What Slurm does before the time is up: submitit puts the job back."""
    subprocess.run(["scancel", "--signal=USR2", job], check=True)


def preempt(job: str) -> None:
    """Somebody more important needs all nodes for a moment."""
    urgent = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null"]
    urgent += ["--wrap=sleep 1"]
    subprocess.run(urgent, check=True, capture_output=True)


# What an administrator does, requeue, is in the test of two nodes.
@pytest.mark.parametrize("take_back", [warn, preempt])
def test_a_job_that_slurm_takes_back_goes_on_from_its_checkpoint(bench: Bench, take_back) -> None:
    work = take_back.__name__
    process = bench.start(*OPTIONS, work_dir=work)
    bench.wait_for_checkpoint(process, RUN, 15, work)
    (job,) = jobs()
    take_back(job)
    release(job)
    bench.let_go()
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert len(bench.attempts(RUN, work)) == 2
    assert "resumed epoch" in (bench.run_folder(RUN, work) / "train.log").read_text()
    here, there = (weights(bench.run_folder(RUN, place), 40) for place in ("here", work))
    assert all(torch.equal(here[key], there[key]) for key in here)
    paths = [bench.folder / place / "results.csv" for place in ("here", work)]
    assert without_times(paths[0]) == without_times(paths[1])


def test_of_a_job_whose_process_was_killed_the_signal_and_the_end_of_the_log_are_told(bench: Bench) -> None:
    process = bench.start(*OPTIONS, work_dir="killed")
    bench.wait_for_checkpoint(process, RUN, 15, "killed")
    os.kill(bench.attempts(RUN, "killed")[0], signal.SIGSEGV)
    out, err = process.communicate()
    assert process.returncode == 1, out + err
    assert "ended without a result (FAILED): killed by SIGSEGV; its log ends with: " in err


def test_a_harness_that_was_killed_finds_its_jobs_again(bench: Bench) -> None:
    process = bench.start(*OPTIONS, work_dir="again")
    bench.wait_for_checkpoint(process, RUN, 15, "again")
    (job,) = jobs()
    process.kill()
    process.communicate()
    process = bench.start(*OPTIONS, work_dir="again")
    wait_until(lambda: "\n" in process.printed(), process, "it has said what runs")
    assert process.printed().startswith(f"{RUN} running")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, out + err
    assert list(jobs()) == [job]
    bench.let_go()
    bench.run(*OPTIONS, work_dir="again")
    assert len(bench.attempts(RUN, "again")) == 1
    assert bench.result(RUN, "again").status.value == "done"


def test_a_run_on_two_nodes_that_slurm_takes_back_ends_as_two_processes_on_one_node_do(bench: Bench) -> None:
    bench.let_go()
    bench.run(*OPTIONS, "--slurm-tasks-per-node", "2", "--slurm-option", "overcommit", work_dir="one node")
    bench.hold()
    process = bench.start(*OPTIONS, "--slurm-nodes", "2", work_dir="two nodes")
    bench.wait_for_checkpoint(process, RUN, 15, "two nodes")
    (job,) = jobs()
    assert nodes(job) == 2
    requeue(job)
    release(job)
    bench.let_go()
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    assert "resumed epoch" in (bench.run_folder(RUN, "two nodes") / "train.log").read_text()
    for place in ("one node", "two nodes"):
        result = bench.result(RUN, place)
        assert (result.status.value, result.processes, result.iteration) == ("done", 2, 40)
    one, two = (weights(bench.run_folder(RUN, place), 40) for place in ("one node", "two nodes"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    paths = [bench.folder / place / "results.csv" for place in ("one node", "two nodes")]
    assert without_times(paths[0]) == without_times(paths[1])


def test_a_tuned_plan_goes_through_both_stages_with_the_same_results_as_here(slurm, tmp_path) -> None:
    bench = Bench(tmp_path)
    bench.recipe("steady", iterations=6, more=TEST)
    bench.plan("steady", regularizers="[wd]", tuning="{trials: 2, search: {lr: [0.01, 1.0]}, seeds: [100]}")
    bench.run(work_dir="here")
    bench.run(*OPTIONS, work_dir="there")
    paths = [tmp_path / place / "results.csv" for place in ("here", "there")]
    assert without_times(paths[0]) == without_times(paths[1])
    assert len(bench.results("there")["run"].unique()) == 3


def test_a_harness_that_was_killed_while_slurm_pretrains_goes_on_and_begins_what_waits(
    slurm, tmp_path
) -> None:
    bench = Bench(tmp_path)
    bench.recipe("before", iterations=20, hook="hold_at=8")
    bench.recipe("after", iterations=6)
    bench.plan("after", regularizers="[wd]", pretraining="[none, {recipe: before, regularizers: [wd]}]")
    process = bench.start(*OPTIONS, work_dir="there")
    store = tmp_path / "work_dirs/pretrained"
    wait_until(lambda: any(store.glob("*/iter_5.pth")), process, "the pretraining has a checkpoint")
    process.kill()
    process.communicate()
    assert bench.attempts("after-from-wd__wd__seed0", "there") == []
    bench.let_go()
    bench.run(*OPTIONS, work_dir="there")
    assert "resumed epoch" not in next(store.glob("*/train.log")).read_text(), "its job was left alone"
    store.rename(tmp_path / "of Slurm")
    bench.run(work_dir="here")
    paths = [tmp_path / place / "results.csv" for place in ("here", "there")]
    assert without_times(paths[0]) == without_times(paths[1])


def test_what_slurm_refuses_is_one_line(bench: Bench) -> None:
    said = bench.run("--executor", "slurm", "--slurm-partition", "nowhere", work_dir="no", status=2)
    assert "Slurm refused the job of held__wd__seed0: sbatch: error" in said
    assert "invalid partition" in said
    assert "Traceback" not in said


def test_it_says_how_many_train_a_run() -> None:
    assert SlurmExecutor({"nodes": 2, "gpus_per_node": 4}, {}).processes == 8
    assert SlurmExecutor({"nodes": 2, "tasks_per_node": 3, "gpus_per_node": 4}, {}).processes == 6
    assert SlurmExecutor({}, {}).processes == 1
