"""A real Slurm of two nodes for the tests, where one is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import PATIENCE

SCRIPT = Path(__file__).resolve().parents[1] / "slurm" / "local_slurm.sh"

_PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "srun", "sbatch")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_MISSING = [program for program in _PROGRAMS if shutil.which(program, path=_PATH) is None]

needs_slurm = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="counts on processes of the CPU"),
    pytest.mark.skipif(
        bool(_MISSING),
        reason=f"Slurm is not installed ({', '.join(_MISSING)}; Debian: slurm-wlm and munge)",
    ),
]
"""Marks of a file whose tests need it."""


def start(place: Path) -> str:
    """Start a Slurm that lives in a folder, or find it running; the path of its configuration."""
    started = subprocess.run([SCRIPT, "start", place], capture_output=True, text=True, timeout=PATIENCE)
    assert started.returncode == 0, started.stderr
    return started.stdout.strip()


@contextlib.contextmanager
def running(place: Path) -> Iterator[str]:
    """A Slurm, and in the end none, nor any job; the path of its configuration, for ``SLURM_CONF``."""
    configuration = start(place)
    try:
        yield configuration
    finally:
        everyone = ["scancel", "--user", os.environ.get("USER", "root")]
        subprocess.run(
            everyone, env={**os.environ, "SLURM_CONF": configuration}, check=False, timeout=PATIENCE
        )
        subprocess.run([SCRIPT, "stop", place], check=True, timeout=PATIENCE)
