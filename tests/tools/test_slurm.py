"""slurm_train.sh and slurm_test.sh under a real Slurm of two nodes, where one is installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import local_slurm
import pytest
from commands import succeed
from launching import Folder, one_process_measures, same, written_metrics

pytestmark = [pytest.mark.dist, *local_slurm.needs_slurm]

ENVIRONMENT = {"GPUS": "2", "CPUS_PER_TASK": "1", "SRUN_ARGS": "--gres=none", "OMP_NUM_THREADS": "1"}
"""Two processes on nodes without GPUs."""


@pytest.fixture
def slurm(slurm_conf: str) -> dict[str, str]:
    """The environment that leads to a running Slurm."""
    return {**ENVIRONMENT, "SLURM_CONF": slurm_conf}


def test_slurm_trains_and_tests_as_torchrun_does(here: Folder, trained: str, slurm: dict[str, str]) -> None:
    job = ["main", "a job", here.segmentor]
    succeed(here.run("slurm_train.sh", *job, "under slurm", "--auto-scale-lr", **slurm))
    first, second = here.ranks("under slurm")
    assert (first["world"], first["launcher"]) == (2, "slurm")
    assert first["MASTER_PORT"] == second["MASTER_PORT"] != "29500"
    assert same(here.weights("under slurm"), here.weights(trained))

    # Protected as all trainings are: it goes on as if it had never ended.
    resumed = ["resumed", "--auto-scale-lr", "--resume", "under slurm/iter_4.pth"]
    succeed(here.run("slurm_train.sh", *job, *resumed, **slurm))
    assert same(here.weights("resumed"), here.weights(trained))
    assert "random_states" in here.checkpoint("under slurm")

    checkpoint = "under slurm/iter_6.pth"
    succeed(here.run("slurm_test.sh", *job, checkpoint, "--work-dir", "slurm test", **slurm))
    measured = written_metrics(here.path / "slurm test")
    assert measured["mIoU"] > 0
    assert measured == one_process_measures(here.segmentor, checkpoint)


def test_processes_of_two_nodes_train_as_those_of_one_do(
    here: Folder, trained: str, slurm: dict[str, str]
) -> None:
    job = ["main", "a job", here.segmentor, "two nodes", "--auto-scale-lr"]
    succeed(here.run("slurm_train.sh", *job, **slurm, GPUS_PER_NODE="1"))
    assert same(here.weights("two nodes"), here.weights(trained))


def test_a_mistake_under_slurm_is_one_line_and_not_status_0(folder: Folder, slurm: dict[str, str]) -> None:
    wrong = ["--cfg-options", "optim_wraper.type=X"]
    done = folder.run("slurm_train.sh", "main", "job", folder.segmentor, "--work-dir", "no", *wrong, **slurm)
    # srun's status is the highest of its processes: 143 where it had to end the slower one.
    assert done.returncode in (2, 143)
    assert done.stderr.count("did you mean optim_wrapper?") == 1


def test_a_slurm_that_runs_is_used_again_whether_or_not_it_has_a_job(slurm: dict[str, str]) -> None:
    place = Path(slurm["SLURM_CONF"]).parent
    before = (place / "slurmctld.pid").read_text()
    # It says so when it runs: from then on a node is held, for a moment also after it was ended.
    held = ["srun", "--nodes=1", "--unbuffered", "sh", "-c", "echo running; exec sleep 300"]
    job = subprocess.Popen(held, env={**os.environ, **slurm}, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    with job:
        assert job.stdout.readline() == "running\n"
        assert local_slurm.start(place) == slurm["SLURM_CONF"]
        job.terminate()
    assert local_slurm.start(place) == slurm["SLURM_CONF"]
    assert (place / "slurmctld.pid").read_text() == before
