"""Partner groups for another weight decay, and what follows each real update of an optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from wrs_mm.rescaling.optimizer import add_partner_groups, after_step, move_to_partner_groups


def parameters(count: int = 4) -> list[nn.Parameter]:
    return [nn.Parameter(torch.full((2,), float(i + 1))) for i in range(count)]


def two_groups(ps: list[nn.Parameter]) -> torch.optim.SGD:
    groups = [{"params": ps[:2], "weight_decay": 0.1}, {"params": ps[2:], "weight_decay": 0.2, "lr": 1.0}]
    return torch.optim.SGD(groups, lr=0.5)


def shape_of(optimizer: torch.optim.Optimizer) -> list[tuple[float, int, float]]:
    return [(g["weight_decay"], len(g["params"]), g["lr"]) for g in optimizer.param_groups]


@pytest.mark.parametrize(
    ("mult", "other", "expected"),
    [
        (0, 1, [0.1, 0.2, 0.0, 0.0]),
        (3, 1, [0.1, 0.2, 0.3, 0.6]),
        (1, 0, [0.0, 0.0, 0.1, 0.2]),
        (0, 0, [0.0, 0.0, 0.0, 0.0]),
        (1, 1, [0.1, 0.2]),
    ],
)
def test_each_group_gets_an_empty_partner_with_its_own_decay(
    mult: float, other: float, expected: list[float]
) -> None:
    optimizer = two_groups(parameters())
    add_partner_groups(optimizer, mult, other)
    assert [group["weight_decay"] for group in optimizer.param_groups] == pytest.approx(expected)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1.0, 0.5, 1.0][: len(expected)]
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2, 0, 0][: len(expected)]


def test_groups_are_partnered_once() -> None:
    optimizer = two_groups(parameters())
    add_partner_groups(optimizer, 0, 0.5)
    before = shape_of(optimizer)
    add_partner_groups(optimizer, 0)
    assert shape_of(optimizer) == before


def test_an_optimizer_without_weight_decay_is_left_as_it_is() -> None:
    ps = parameters()
    optimizer = torch.optim.LBFGS(ps)
    add_partner_groups(optimizer, 0, 0)
    assert len(optimizer.param_groups) == 1 and "weight_decay" not in optimizer.param_groups[0]


def test_weights_move_to_their_groups_partner_in_the_order_that_they_had() -> None:
    ps = parameters(6)
    groups = [{"params": ps[:3]}, {"params": ps[3:], "lr": 1.0}]
    optimizer = torch.optim.SGD(groups, lr=0.5, weight_decay=0.1)
    add_partner_groups(optimizer, 0)
    for _ in range(2):  # a second time moves nothing
        move_to_partner_groups(optimizer, [ps[5], ps[2], ps[0], ps[4]])
        held = [
            [next(i for i, p in enumerate(ps) if p is q) for q in g["params"]] for g in optimizer.param_groups
        ]
        assert held == [[1], [3], [0, 2], [4, 5]]


def test_without_partner_groups_nothing_moves() -> None:
    ps = parameters()
    optimizer = two_groups(ps)
    move_to_partner_groups(optimizer, ps)
    assert shape_of(optimizer) == shape_of(two_groups(parameters()))


# -- after each update --------------------------------------------------------------------------------


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
