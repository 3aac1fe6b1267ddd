"""How this machine is divided among runs, and several processes that train one run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from benches import TEST, Bench
from run_folders import make_runs

from wrs_mm.bench import commands
from wrs_mm.bench.executors import spawned
from wrs_mm.bench.executors.local import LocalExecutor
from wrs_mm.bench.executors.loop import run_all
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.snapshot import snapshot
from wrs_mm.errors import OptionError


def visible(executor: LocalExecutor, slot: int) -> str:
    return executor.environment(slot)["CUDA_VISIBLE_DEVICES"]


def test_gpus_are_divided_among_runs():
    executor = LocalExecutor(gpus=["0", "1", "2"])
    assert (executor.slots, [visible(executor, slot) for slot in range(3)]) == (3, ["0", "1", "2"])
    executor = LocalExecutor(processes=2, gpus=["4", "5", "6", "7", "MIG-8"])
    assert (executor.slots, [visible(executor, slot) for slot in range(2)]) == (2, ["4,5", "6,7"])
    # Two small runs may share a GPU, if that is asked for.
    executor = LocalExecutor(jobs=4, gpus=["0", "1"])
    assert [visible(executor, slot) for slot in range(4)] == ["0", "1", "0", "1"]


def test_processors_are_divided_among_runs(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("wrs_mm.bench.executors.local.count_processors", lambda: 12)
    assert (LocalExecutor(gpus=[]).slots, LocalExecutor(gpus=[]).threads) == (2, 6)
    assert LocalExecutor(jobs=5, gpus=[]).threads == 2
    assert LocalExecutor(jobs=50, gpus=[]).threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert LocalExecutor(jobs=5, gpus=[]).threads == 3


def test_more_gpus_than_there_are_cannot_be_had():
    with pytest.raises(OptionError, match="--gpus-per-run 3: this machine has 2"):
        LocalExecutor(processes=3, gpus=["0", "1"])
    with pytest.raises(OptionError, match="--jobs 2: the GPUs allow 1 runs of 2 at once"):
        LocalExecutor(jobs=2, processes=2, gpus=["0", "1"])


class Nobody:
    def update(self) -> None:
        pass


@pytest.mark.parametrize("ending", ["SIGSEGV", "SIGKILL", "SIGABRT", "SIGBUS"])
def test_of_a_process_that_was_killed_the_signal_and_the_end_of_the_log_are_told(
    tmp_path, monkeypatch, ending
):
    program = f"import os, signal; print('loss: 3.5', flush=True); os.kill(os.getpid(), signal.{ending})"
    monkeypatch.setattr(spawned, "_command", lambda run, processes: [sys.executable, "-c", program])
    (run,) = make_runs(tmp_path, 1)
    run_all([run], LocalExecutor(1, gpus=["0"]), Nobody())
    result = run.result()
    assert (result.status, result.reason) == (Status.FAILED, f"killed by {ending}")
    assert snapshot(run).detail == f"killed by {ending}; its log ends with: loss: 3.5"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "helpers"))
    return Bench(tmp_path)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.skipif(torch.cuda.is_available(), reason="counts on processes of the CPU")
def test_several_processes_train_one_run_and_diverge_together(here):
    here.recipe("steady", iterations=20, more=TEST)
    here.recipe("nan", iterations=20, hook="break_at=7, how='diverge'", more=TEST)
    here.plan("steady", "nan", regularizers="[wd]", split="test")
    plan, work = Path("plan.yaml"), Path("work")
    assert commands.run(plan, work, lambda: LocalExecutor(1, 2, gpus=[])) == 0
    done = here.result("steady__wd__seed0__test")
    assert (done.status.value, done.processes, done.iteration) == ("done", 2, 20)
    assert done.metrics["mIoU"] > 0
    # Each of them measures a part of the test split and of the training images.
    with np.load(here.run_folder("steady__wd__seed0__test") / "predictions" / "val.npz") as counts:
        assert list(counts["image_ids"]) == [f"{index}.png" for index in range(6)]
    assert done.test["mIoU"] > 0
    record = here.run_folder("steady__wd__seed0__test") / "train_validations.json"
    assert [entry["iteration"] for entry in json.loads(record.read_text())] == [20]
    diverged = here.result("nan__wd__seed0__test")
    assert (diverged.status.value, diverged.iteration) == ("diverged", 8)
