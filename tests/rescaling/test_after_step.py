"""What follows each real update of an optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from wrs_mm.rescaling.after_step import after_step


def parameters(count: int = 4) -> list[nn.Parameter]:
    return [nn.Parameter(torch.full((2,), float(i + 1))) for i in range(count)]


def counted(optimizer: torch.optim.Optimizer) -> tuple[list[int], Any]:
    calls: list[int] = []
    return calls, after_step(optimizer, lambda: calls.append(1))


def test_the_function_is_called_after_the_weights_have_changed() -> None:
    (p,) = parameters(1)
    optimizer = torch.optim.SGD([p], lr=1.0)
    seen: list[float] = []
    after_step(optimizer, lambda: seen.append(float(p[0].detach())))
    p.grad = torch.ones(2)
    optimizer.step()
    optimizer.step()
    assert seen == [0.0, -1.0]


def test_a_step_that_raises_is_no_update() -> None:
    optimizer = torch.optim.SGD(parameters(), lr=1.0)
    calls, _ = counted(optimizer)

    def closure() -> float:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        optimizer.step(closure)
    assert calls == []
    assert optimizer.step(lambda: 3.0) == 3.0 and calls == [1]


def test_a_scheduler_made_later_counts_steps_as_ever() -> None:
    optimizer = torch.optim.SGD(parameters(), lr=1.0)
    calls, _ = counted(optimizer)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step()
    scheduler.step()
    assert calls == [1] and optimizer.param_groups[0]["lr"] == 0.5


def test_undone_it_is_called_no_more() -> None:
    optimizer = torch.optim.SGD(parameters(), lr=1.0)
    calls, undo = counted(optimizer)
    optimizer.step()
    undo()
    optimizer.step()
    assert calls == [1]


def test_what_wrapped_the_step_later_is_not_undone() -> None:
    optimizer = torch.optim.SGD(parameters(), lr=1.0)
    first, undo_first = counted(optimizer)
    second, _ = counted(optimizer)
    undo_first()
    optimizer.step()
    assert first == [1] and second == [1]
