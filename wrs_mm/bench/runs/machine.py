"""What a result says of the machine it was made on."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "wrs-mm",
    "torch",
    "torchvision",
    "mmengine",
    "mmcv",
    "mmcv-lite",
    "mmdet",
    "mmsegmentation",
    "numpy",
    "opencv-python",
    "pycocotools",
)
"""What a result's ``versions`` lists, where installed."""


def versions() -> dict[str, str]:
    """Versions of Python, of the installed packages behind a result, and of what computes beneath them."""
    import torch

    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found


def process_began() -> float:
    """When this process began, imports included, on the clock of ``time.monotonic``."""
    try:
        after_boot = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return time.monotonic()
    return time.monotonic() - (up - after_boot / os.sysconf("SC_CLK_TCK"))


def peak_memory() -> float | None:
    """MiB that this process held at most, on the GPU if it uses one."""
    import torch

    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    # getrusage's maximum begins, in a process that was started anew, with what its parent held.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    (kib,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return round(int(kib) / 2**10, 1)


def utc_now() -> str:
    """The time in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def rank() -> int:
    """Which of the processes that train together this one is."""
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0)


def number_of_processes() -> int:
    """How many processes train together; mmengine sets the first of these itself, and later."""
    return int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1)
