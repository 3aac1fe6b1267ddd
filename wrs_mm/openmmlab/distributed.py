"""Several processes on a machine without a GPU, with nothing to change in the config.

mmengine 0.10 assumes an accelerator as soon as there is a launcher: it selects a CUDA device, asks
for NCCL and names a device when it wraps the model. Where no accelerator is, gloo on the CPU takes
their place; where there is one, nothing here does anything.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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
            setattr(utils, name, _with_gloo(launch))
    wrap = MMDistributedDataParallel.__init__
    if not hasattr(wrap, "__wrapped__"):
        MMDistributedDataParallel.__init__ = _without_devices(wrap)


def _with_gloo(launch: Callable[..., None]) -> Callable[..., None]:
    """Make one of mmengine's launchers use gloo, and no device, where there is none."""

    @functools.wraps(launch)
    def launch_anywhere(backend: str, **options: Any) -> None:
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


def _without_devices(wrap: Callable[..., None]) -> Callable[..., None]:
    """Make mmengine's DistributedDataParallel take a model whose parameters are on the CPU."""

    @functools.wraps(wrap)
    def wrap_anywhere(self: Any, module: nn.Module, *args: Any, **options: Any) -> None:
        if all(parameter.device.type == "cpu" for parameter in module.parameters()):
            options.update(device_ids=None, output_device=None)
            module = _plain_batch_norm(module)
        wrap(self, module, *args, **options)

    return wrap_anywhere


def _plain_batch_norm(module: nn.Module) -> nn.Module:
    """Turn SyncBN, which torch does not have for CPUs, into BN with each process's own statistics.

    The parameters stay the same objects.
    """
    from mmengine.logging import print_log
    from mmengine.model import revert_sync_batchnorm

    # torch's and mmcv's classes have the same name, and mmengine reverts both.
    if not any(type(layer).__name__ == "SyncBatchNorm" for layer in module.modules()):
        return module
    print_log(
        "SyncBN does not synchronise on CPUs: BN normalises with each process's own batch",
        logger="current",
        level=logging.WARNING,
    )
    return revert_sync_batchnorm(module)
