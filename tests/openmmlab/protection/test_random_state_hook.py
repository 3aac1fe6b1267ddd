"""A run that is killed and resumed is the run that was not, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_training import runner

from wrs_mm.openmmlab.protection.random_state_hook import RANDOM_STATES, random_state, set_random_state


class Kill(Hook):
    """Ends a training in the middle, as a signal would."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if runner.iter + 1 == self.iteration:
            raise KeyboardInterrupt


@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_a_run_killed_and_resumed_is_the_run_bit_for_bit(tmp_path: Path, by_epoch: bool) -> None:
    kind = "epochs" if by_epoch else "iterations"
    whole = runner(tmp_path / "whole", by_epoch, f"whole-{kind}")
    whole.train()
    killed = runner(tmp_path / "killed", by_epoch, f"killed-{kind}", custom_hooks=[Kill(10)])
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    torch.manual_seed(99)
    resumed = runner(tmp_path / "killed", by_epoch, f"resumed-{kind}", resume=True)
    resumed.train()
    assert resumed.iter == whole.iter == 16
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    momentum = [s["momentum_buffer"] for s in whole.optim_wrapper.optimizer.state.values()]
    again = [s["momentum_buffer"] for s in resumed.optim_wrapper.optimizer.state.values()]
    assert sorted(map(float, (m.sum() for m in momentum))) == sorted(map(float, (m.sum() for m in again)))


def test_a_state_put_back_gives_the_same_numbers_again() -> None:
    state = random_state()
    first = torch.rand(3), np.random.rand(3)
    set_random_state(state)
    assert torch.equal(torch.rand(3), first[0])
    assert np.array_equal(np.random.rand(3), first[1])


def test_a_checkpoint_holds_the_states_in_types_that_load_safely(tmp_path: Path) -> None:
    run = runner(tmp_path, False, "states")
    run.train_loop._max_iters = 4
    run.train()
    saved = torch.load(tmp_path / "iter_4.pth", weights_only=True)[RANDOM_STATES]
    assert len(saved["ranks"]) == 1 and isinstance(saved["sampler_seed"], int)
