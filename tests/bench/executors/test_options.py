"""From what is asked for to an executor."""

from __future__ import annotations

import shutil

import pytest
import torch

from wrs_mm.bench.executors.local import LocalExecutor
from wrs_mm.bench.executors.options import ExecutorOptions, make_executor
from wrs_mm.bench.executors.slurm import SlurmExecutor
from wrs_mm.errors import OptionError


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without a GPU")
def test_options_that_do_not_fit_are_named(monkeypatch):
    with pytest.raises(OptionError, match="--gpus-per-run: PyTorch sees no GPU here; use --jobs"):
        make_executor(ExecutorOptions(gpus_per_run=2))
    with pytest.raises(OptionError, match="--slurm-cpus-per-task is for --executor slurm"):
        make_executor(ExecutorOptions(slurm={"cpus_per_task": 2}))
    with pytest.raises(OptionError, match="--slurm-option is for --executor slurm"):
        make_executor(ExecutorOptions(slurm_options={"exclusive": True}))
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(OptionError, match="there is no sbatch here"):
        make_executor(ExecutorOptions("slurm"))


def test_nothing_asked_for_is_this_machine():
    executor = make_executor(ExecutorOptions(jobs=3))
    assert isinstance(executor, LocalExecutor)
    assert (executor.slots, executor.processes) == (3, 1)


@pytest.mark.parametrize(
    ("slurm", "gpus"),
    [({}, 4), ({"nodes": 2}, 2), ({"nodes": 2, "gpus_per_node": 8}, 8)],
)
def test_the_gpus_of_a_run_are_divided_among_its_nodes(monkeypatch, slurm, gpus):
    monkeypatch.setattr(shutil, "which", lambda program: program)
    pytest.importorskip("submitit")
    executor = make_executor(ExecutorOptions("slurm", gpus_per_run=4, slurm=slurm))
    assert isinstance(executor, SlurmExecutor)
    assert executor.parameters["gpus_per_node"] == executor.parameters["ntasks_per_node"] == gpus
    with pytest.raises(OptionError, match="--gpus-per-run 4 does not divide by 3 nodes"):
        make_executor(ExecutorOptions("slurm", gpus_per_run=4, slurm={"nodes": 3}))
