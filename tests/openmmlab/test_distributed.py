from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import run, succeed
from torch import nn

from wrs_mm.openmmlab import distributed

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")


def torchrun(*arguments: str, processes: int = 2) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {"OMP_NUM_THREADS": "1"}
    return run([*command, f"--nproc_per_node={processes}", *arguments], cwd=ROOT, environment=environment)


# Each process writes what it ended with, to compare them.
PROBE = """
custom_imports = dict(imports=['probe'], allow_failed_imports=False)
custom_hooks = [dict(type='Probe')]
"""

WRAPPER = """
model_wrapper_cfg = dict(
    type='MMDistributedDataParallel', broadcast_buffers=True, find_unused_parameters=True)
"""

PROBE_MODULE = """
import os, torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Probe(Hook):
    def after_train(self, runner):
        model = runner.model
        torch.save(dict(
            backend=dist.get_backend(), world=dist.get_world_size(), wrapper=type(model).__name__,
            broadcast=getattr(model, 'broadcast_buffers', None),
            unused=getattr(model, 'find_unused_parameters', None),
            norms=sorted({type(m).__name__ for m in model.modules() if 'Norm' in type(m).__name__}),
            weights=dict(runner.model.module.named_parameters()),
        ), f"{runner.work_dir}/rank{dist.get_rank()}.pt")
"""


def train_on_two_processes(config: Path, tmp_path: Path, monkeypatch, *options: str):
    (tmp_path / "probe.py").write_text(PROBE_MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    work_dir = tmp_path / "work"
    done = torchrun(
        "tools/train.py", str(config), "--work-dir", str(work_dir), "--launcher", "pytorch", *options
    )
    succeed(done)
    log = next(work_dir.rglob("*.log")).read_text()
    return log, [torch.load(work_dir / f"rank{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.mark.dist
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["detector", "segmentor"])
def test_two_processes_train_also_with_a_wrapper_of_the_configs_own(
    kind, write_config, tmp_path, monkeypatch
):
    # SyncBN is what mmseg's recipes say. The wrapper is what the config says, where it says one.
    said = kind == "segmentor"
    config = write_config(kind, PROBE + WRAPPER * said, norm="SyncBN")
    log, ranks = train_on_two_processes(config, tmp_path, monkeypatch)
    for rank in ranks:
        assert (rank["backend"], rank["world"]) == ("gloo", 2)
        assert rank["wrapper"] == "MMDistributedDataParallel"
        assert (rank["broadcast"], rank["unused"]) == (said, said)
        assert not any("Sync" in name for name in rank["norms"])
    first, second = (rank["weights"] for rank in ranks)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert "SyncBN does not synchronize on CPUs" in log


def test_slurms_and_mpis_launchers_use_gloo_too(monkeypatch):
    from mmengine.dist import init_dist

    calls = []
    monkeypatch.setattr(
        torch.distributed, "init_process_group", lambda backend, **options: calls.append(backend)
    )
    environment = {
        "SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_NODELIST": "localhost",
        "SLURM_LOCALID": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29511",
        "OMPI_COMM_WORLD_LOCAL_RANK": "0", "OMPI_COMM_WORLD_RANK": "0",
        "OMPI_COMM_WORLD_SIZE": "1", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0",
    }  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    select = torch.cuda.set_device
    for launcher in ("pytorch", "slurm", "mpi"):
        init_dist(launcher, backend="nccl")
    assert calls == ["gloo"] * 3
    assert torch.cuda.set_device is select


def test_where_an_accelerator_is_mmengine_does_as_it_did(monkeypatch):
    seen = []

    def launch(backend, **options):
        torch.cuda.set_device(3)
        seen.append((backend, options))

    monkeypatch.setattr(distributed, "has_accelerator", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: seen.append(device))
    distributed.with_gloo(launch)("nccl", init_backend="torch")
    assert seen == [3, ("nccl", {"init_backend": "torch"})]


def test_a_model_on_a_device_is_wrapped_as_it_was():
    seen = {}

    def wrap(self, module, **options):
        seen.update(options, module=module)

    model = nn.Sequential(nn.Linear(1, 1, device="meta"), nn.SyncBatchNorm(1, device="meta"))
    distributed.without_devices(wrap)(None, model, device_ids=[1])
    assert seen == {"device_ids": [1], "module": model}
    assert isinstance(model[1], nn.SyncBatchNorm)


def test_parameters_survive_the_loss_of_synchronized_norms():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.SyncBatchNorm(2))
    before = list(model.parameters())
    model[1].eval()
    plain = distributed.plain_batch_norm(model)
    assert all(a is b for a, b in zip(plain.parameters(), before, strict=True))
    assert not plain[1].training
    assert not isinstance(plain[1], nn.SyncBatchNorm)


def test_preparing_twice_changes_nothing():
    from mmengine.dist import utils
    from mmengine.model.wrappers import MMDistributedDataParallel

    from wrs_mm.openmmlab import prepare

    prepare()
    before = utils._init_dist_pytorch, MMDistributedDataParallel.__init__
    prepare()
    assert (utils._init_dist_pytorch, MMDistributedDataParallel.__init__) == before


# --- processes that were launched together -------------------------------------------------------


def test_the_processes_of_a_slurm_step_meet_where_no_other_does(monkeypatch):
    ports = set()
    for job in range(1234, 1244):
        monkeypatch.setenv("SLURM_JOB_ID", str(job))
        for step in range(3):
            monkeypatch.setenv("SLURM_STEP_ID", str(step))
            monkeypatch.setenv("SLURM_PROCID", str(step))
            ports.add(distributed.slurm_port())
    assert len(ports) == 30
    assert all(1024 <= port < 32768 for port in ports)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["said"]),
        ({"WORLD_SIZE": "1", "LOCAL_RANK": "0"}, ["said"]),
        ({"WORLD_SIZE": "8", "LOCAL_RANK": "0"}, ["said", "waited 1"]),
        ({"WORLD_SIZE": "8", "LOCAL_RANK": "3"}, ["waited 2", "said"]),
        # mmengine's launchers set LOCAL_RANK to 0 before they read Slurm's.
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "3", "LOCAL_RANK": "0"}, ["waited 2", "said"]),
    ],
)
def test_a_mistake_of_all_processes_is_said_by_the_first(environment, expected, monkeypatch):
    for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    events, handlers = [], []
    monkeypatch.setattr(distributed.time, "sleep", lambda seconds: events.append(f"waited {seconds}"))
    monkeypatch.setattr(distributed.signal, "signal", lambda *arguments: handlers.append(arguments))
    monkeypatch.setattr(distributed, "print", lambda *text, **options: events.append(*text), raising=False)
    distributed.report_mistake("said", patience=1, doubt=2)
    assert events == expected
    assert bool(handlers) == (len(expected) > 1)


END = """
import atexit, os, sys
from wrs_mm.openmmlab.distributed import end_process

class Torn:
    def __del__(self):
        print("torn down", flush=True)

torn = Torn()
atexit.register(print, "said at the end", flush=True)
print("said before")
end_process(3)
"""


@pytest.mark.parametrize(("processes", "torn"), [("1", ["torn down"]), ("2", [])])
def test_a_process_of_several_ends_before_its_interpreter_is_torn_down(processes, torn):
    done = run([sys.executable, "-c", END], cwd=ROOT, environment={"WORLD_SIZE": processes})
    assert done.returncode == 3
    assert done.stdout.splitlines() == ["said before", "said at the end", *torn]
