"""Several processes on a machine without a GPU, with nothing to change in the config.

mmengine 0.10 assumes an accelerator as soon as there is a launcher: it selects a CUDA device, asks
for NCCL and names a device when it wraps the model. Where no accelerator is, gloo on the CPU takes
their place; where there is one, the launchers are mmengine's own.

Also here: what processes that were launched together owe each other and the person who waits. They meet
at a port that no other training uses, end when their launcher ends, and report a common mistake once.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import nn


def has_accelerator() -> bool:
    """Whether mmengine would train on something other than the CPU."""
    from mmengine.device import get_device

    return get_device() != "cpu"


def launch_on_cpu() -> None:
    """Make mmengine's launchers and its wrapper of models work without an accelerator.

    May be called any number of times.
    """
    from mmengine.dist import utils
    from mmengine.model.wrappers import MMDistributedDataParallel

    for name in ("_init_dist_pytorch", "_init_dist_mpi", "_init_dist_slurm"):
        launch = getattr(utils, name)
        if not hasattr(launch, "__wrapped__"):
            setattr(utils, name, with_gloo(launch))
    wrap = MMDistributedDataParallel.__init__
    if not hasattr(wrap, "__wrapped__"):
        MMDistributedDataParallel.__init__ = without_devices(wrap)


def with_gloo(launch: Callable[..., None]) -> Callable[..., None]:
    """Make one of mmengine's launchers use gloo, and no device, where there is none.

    Under Slurm the processes meet at :func:`slurm_port`, unless ``MASTER_PORT`` says where.
    """

    @functools.wraps(launch)
    def launch_anywhere(backend: str, **options: Any) -> None:
        if "SLURM_JOB_ID" in os.environ:
            os.environ.setdefault("MASTER_PORT", str(slurm_port()))
        if has_accelerator():
            launch(backend, **options)
            return
        with _no_device_to_select():
            launch("gloo", **options)

    return launch_anywhere


@contextmanager
def _no_device_to_select() -> Iterator[None]:
    # Each launcher calls it unconditionally, between what has to happen before and after.
    select = torch.cuda.set_device
    torch.cuda.set_device = lambda device: None
    try:
        yield
    finally:
        torch.cuda.set_device = select


def without_devices(wrap: Callable[..., None]) -> Callable[..., None]:
    """Make mmengine's DistributedDataParallel take a model whose parameters are on the CPU."""

    @functools.wraps(wrap)
    def wrap_anywhere(self: Any, module: nn.Module, *args: Any, **options: Any) -> None:
        if all(parameter.device.type == "cpu" for parameter in module.parameters()):
            options.update(device_ids=None, output_device=None)
            module = plain_batch_norm(module)
        wrap(self, module, *args, **options)

    return wrap_anywhere


def plain_batch_norm(module: nn.Module) -> nn.Module:
    """Turn SyncBN, which torch does not have for CPUs, into BN with each process's own statistics.

    The parameters stay the same objects.
    """
    from mmengine.logging import print_log
    from mmengine.model import revert_sync_batchnorm

    # torch's and mmcv's classes have the same name, and mmengine reverts both.
    if not any(type(layer).__name__ == "SyncBatchNorm" for layer in module.modules()):
        return module
    print_log(
        "SyncBN does not synchronize on CPUs: BN normalizes with each process's own batch",
        logger="current",
        level=logging.WARNING,
    )
    return revert_sync_batchnorm(module)


# --- processes that were launched together -------------------------------------------------------

_LOCAL_RANKS = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK")
"""Where launchers say which of its machine's processes a process is."""


def exit_with_launcher() -> None:
    """Have this process killed when the process that started it ends, however that ended.

    torchrun puts each process into a session of its own: a torchrun that is killed would leave them
    training, unseen, in a work dir that the next training resumes from. (Linux only.)
    """
    from torch.multiprocessing import _prctl_pr_set_pdeathsig

    _prctl_pr_set_pdeathsig(signal.SIGKILL)


def end_process(status: int) -> NoReturn:
    """End this process with a status; at once where it is one of several that were launched together.

    gloo's threads live as long as the wrapped model, and one that asks for the interpreter while that is
    torn down aborts the process, now and then: torchrun and Slurm then call a training failed that is done,
    and other machines wait for it. What is registered for the end (``atexit``) happens all the same.
    """
    if not _launched():
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def slurm_port() -> int:
    """A port, the same in all processes of a Slurm job step, that differs from other jobs' and steps'.

    mmengine's is 29500 for all, so that two trainings on a machine meet each other.
    """
    job, step = (int(os.environ.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    # Below the ports that Linux gives to connections; consecutive jobs and steps stay apart.
    return 10000 + (job + 101 * step) % 20000


def report_mistake(message: str, patience: float = 3.0, doubt: float = 30.0) -> None:
    """Print the line of a mistake on stderr: once a machine, where several processes make it together.

    The first process of a machine speaks, and waits until the others have come as far. Those wait for
    their launcher to end them, and speak only if it does not: then the mistake is theirs alone.

    Args:
        message: The line.
        patience: How long the first one waits, in seconds.
        doubt: How long the others wait for their end, in seconds.
    """
    rank = max(int(os.environ.get(name) or 0) for name in _LOCAL_RANKS)
    if rank == 0:
        print(message, file=sys.stderr, flush=True)
    if not _launched():
        return
    # Slurm reports the highest status of a job's processes: to be ended must not hide the mistake.
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(2))
    time.sleep(patience if rank == 0 else doubt)
    if rank > 0:
        print(message, file=sys.stderr, flush=True)


def _launched() -> bool:
    """Whether this process is one of several that a launcher started."""
    sizes = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    return any(int(os.environ.get(name) or 1) > 1 for name in sizes)
