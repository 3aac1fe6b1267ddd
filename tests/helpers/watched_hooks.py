"""mmengine hooks that the recipes of test_bench.py ask for by ``custom_imports``."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class BenchTestHook(Hook):
    """Slows a run down, and breaks it at one iteration.

    Args:
        seconds: Wait in each iteration, so that a test can reach into the middle of a run, until it lets go
            of the runs (``hold_at``).
        break_at: Before this iteration, counted from 0, something happens.
        how: ``diverge`` (in a loss), ``nowhere`` (where deformable convolutions sample), ``overflow``
            (weights of which the model then makes a crash), ``crash``, ``kill`` (in the validation after it,
            once), ``kill test`` (in the evaluation of the test split after it, once), or nothing.
        hold_at: Before this iteration the run waits until a file ``go`` is in the folder that it was
            started from: however busy the machine is, a test that holds it finds it under way.
    """

    def __init__(
        self, seconds: float = 0.0, break_at: int = -1, how: str = "", hold_at: int | None = None
    ) -> None:
        self.seconds, self.break_at, self.how, self.hold_at = seconds, break_at, how, hold_at

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.seconds and not os.path.exists("go"):
            time.sleep(self.seconds)
        while runner.iter == self.hold_at and not os.path.exists("go"):
            time.sleep(0.05)
        if runner.iter != self.break_at:
            return
        # Of several processes in one only: the others must notice.
        if self.how == "diverge" and get_rank() == get_world_size() - 1:
            with torch.no_grad():
                next(runner.model.parameters()).fill_(float("nan"))
        if self.how == "nowhere":
            with torch.no_grad():
                for name, parameter in runner.model.named_parameters():
                    if name.endswith("conv_offset.bias"):
                        parameter[0] = float("nan")
        if self.how == "overflow":
            with torch.no_grad():
                next(runner.model.parameters()).fill_(float("inf"))
        if self.how in ("crash", "overflow"):
            raise RuntimeError("broken\nby the test")

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.how == "kill" and runner.iter == self.break_at and batch_idx == 1:
            self._kill_once(runner)

    def before_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.how == "kill test" and runner.iter == self.break_at and batch_idx == 1:
            self._kill_once(runner)

    def _kill_once(self, runner: Any) -> None:
        with open(os.path.join(runner.work_dir, "attempts.txt")) as file:
            if len(file.readlines()) == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    def before_run(self, runner: Any) -> None:
        # Who trained, and from where: a test counts attempts by it.
        if is_main_process():
            with open(os.path.join(runner.work_dir, "attempts.txt"), "a") as file:
                file.write(f"{os.getpid()}\n")
