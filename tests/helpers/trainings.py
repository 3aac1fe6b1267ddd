"""Trainings in processes of their own, forked from one that has imported the toolboxes, and killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from forked import start_forked
from launching import has_ended
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

_PATIENCE = 600.0
"""Seconds after which a training hangs; a loaded machine is no reason to give up sooner."""


@HOOKS.register_module(force=True)
class HoldHook(Hook):
    """Holds a training for good after an update, as early as a hook can.

    Args:
        at: The update, counted from 1.
    """

    priority = "VERY_HIGH"

    def __init__(self, at: int) -> None:
        self.at = at

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter + 1 == self.at:
            (Path(runner.work_dir) / "held").touch()
            time.sleep(3600)


def _train(config: Path, work_dir: Path, hold_at: int | None, options: Mapping[str, Any]) -> None:
    from wrs_mm.openmmlab.configs import load_config
    from wrs_mm.openmmlab.training import train

    torch.set_num_threads(1)
    read = load_config(config)
    if hold_at is not None:
        read.custom_hooks = [*(read.get("custom_hooks") or []), {"type": "HoldHook", "at": hold_at}]
    train(read, work_dir=work_dir, **options)


def train(config: Path, work_dir: Path, **options: Any) -> None:
    """Train to the end; ``options`` as of :func:`wrs_mm.openmmlab.training.train`."""
    process = start_forked(_train, (config, work_dir, None, options))
    process.join(_PATIENCE)
    assert process.exitcode == 0


def train_killed(config: Path, work_dir: Path, kill_at: int, **options: Any) -> None:
    """Train until after an update, kill with signal 9, and go on to the end."""
    process = start_forked(_train, (config, work_dir, kill_at, options))
    end = time.monotonic() + _PATIENCE
    while not (work_dir / "held").exists():
        assert process.is_alive(), f"ended with {process.exitcode} before update {kill_at}"
        assert time.monotonic() < end, "hangs"
        time.sleep(0.05)
    assert process.pid is not None
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.join(_PATIENCE)
    # A worker that lived on would hold what the training had locked.
    assert all(has_ended(worker.pid) for worker in workers)
    train(config, work_dir, resume=True, **options)


def final(work_dir: Path) -> dict[str, torch.Tensor]:
    """All tensors of a training's last checkpoint: the model, the optimizer, the random states if any."""
    path = Path((work_dir / "last_checkpoint").read_text())
    checkpoint = torch.load(path, weights_only=False)
    parts = {name: checkpoint.get(name) for name in ("state_dict", "optimizer", "random_states")}
    return dict(_tensors(parts, ""))


def _tensors(content: Any, where: str) -> list[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        return [(where, content)]
    if isinstance(content, Mapping):
        content = list(content.items())
    elif isinstance(content, (list, tuple)):
        content = list(enumerate(content))
    else:
        return []
    return [found for name, part in content for found in _tensors(part, f"{where}.{name}")]
