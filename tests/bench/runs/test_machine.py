"""What a result says of the machine it was made on."""

from __future__ import annotations

import platform
import subprocess
import sys
import time

import pytest
import torch

from wrs_mm.bench.runs import machine


def test_the_versions_are_those_of_what_computes():
    found = machine.versions()
    assert found["python"] == platform.python_version()
    assert torch.__version__.startswith(found["torch"])
    # mmcv and mmcv-lite write the same folder: one of them is installed.
    assert len({"mmcv", "mmcv-lite"} & found.keys()) == 1


@pytest.mark.parametrize(
    ("environment", "rank", "processes"),
    [
        ({}, 0, 1),
        ({"RANK": "3", "WORLD_SIZE": "4"}, 3, 4),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, 1, 2),
        # mmengine sets the first of each itself, later.
        ({"RANK": "", "SLURM_PROCID": "1", "WORLD_SIZE": "", "SLURM_NTASKS": "2"}, 1, 2),
    ],
)
def test_a_process_knows_its_number_and_how_many_there_are(monkeypatch, environment, rank, processes):
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (machine.rank(), machine.number_of_processes()) == (rank, processes)


def child(code: str) -> float:
    """What a process of its own prints last."""
    code = f"from wrs_mm.bench.runs.machine import peak_memory, process_began\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_a_process_s_time_includes_its_imports():
    began = time.monotonic()
    at = child("print(process_began())")
    assert began - 0.1 < at < time.monotonic()


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about memory without a GPU")
def test_the_peak_is_this_process_s_own_and_stays_when_memory_is_given_back():
    # Both are written to, so that they are memory and no promise.
    held = b"1" * 2**30
    peak = child("peak_memory(); held = b'1' * (200 * 2**20); del held; print(peak_memory())")
    assert 200 < peak < len(held) / 2**20
