"""slurm_train.sh and slurm_test.sh under a real Slurm of two nodes, where one is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from launching import Folder, one_process_measures, same, succeed, written_metrics

LOCAL_SLURM = Path(__file__).resolve().parents[1] / "slurm" / "local_slurm.sh"
PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "srun")


def missing() -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]


pytestmark = [
    pytest.mark.dist,
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="counts on processes of the CPU"),
    pytest.mark.skipif(
        bool(missing()),
        reason=f"Slurm is not installed ({', '.join(missing())}; Debian: slurm-wlm and munge)",
    ),
]

ENVIRONMENT = {"GPUS": "2", "CPUS_PER_TASK": "1", "SRUN_ARGS": "--gres=none", "OMP_NUM_THREADS": "1"}
"""Two processes on nodes without GPUs."""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running Slurm; the environment that leads to it."""
    place = tmp_path_factory.mktemp("slurm")
    started = subprocess.run(
        [LOCAL_SLURM, "start", place], capture_output=True, text=True, check=False, timeout=120
    )
    assert started.returncode == 0, started.stderr
    yield {**ENVIRONMENT, "SLURM_CONF": started.stdout.strip()}
    subprocess.run([LOCAL_SLURM, "stop", place], check=True, timeout=60)


def test_slurm_trains_and_tests_as_torchrun_does(here: Folder, trained: str, slurm: dict[str, str]) -> None:
    job = ["main", "a job", here.segmentor]
    succeed(here.run("slurm_train.sh", *job, "under slurm", "--auto-scale-lr", **slurm))
    first, second = here.ranks("under slurm")
    assert (first["world"], first["launcher"]) == (2, "slurm")
    assert first["MASTER_PORT"] == second["MASTER_PORT"] != "29500"
    assert same(here.weights("under slurm"), here.weights(trained))

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
    assert done.stderr.count("did you mean 'optim_wrapper'") == 1


def test_a_slurm_that_runs_is_used_again(slurm: dict[str, str]) -> None:
    place = Path(slurm["SLURM_CONF"]).parent
    before = (place / "slurmctld.pid").read_text()
    again = subprocess.run([LOCAL_SLURM, "start", place], capture_output=True, text=True, check=True)
    assert again.stdout.strip() == slurm["SLURM_CONF"]
    assert (place / "slurmctld.pid").read_text() == before
