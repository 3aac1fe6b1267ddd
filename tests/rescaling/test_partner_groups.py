"""Partner groups for another weight decay."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wrs_mm.rescaling.partner_groups import add_partner_groups, move_to_partner_groups


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


def test_names_move_with_their_parameters_and_lists_are_nobody_elses() -> None:
    ps = parameters()
    named = [{"params": [("a", ps[0]), ("b", ps[1]), ("c", ps[2])], "tags": ["x"]}]
    optimizer = torch.optim.SGD(named, lr=0.5, weight_decay=0.1)
    add_partner_groups(optimizer, 0)
    move_to_partner_groups(optimizer, [ps[1]])
    group, partner = optimizer.param_groups
    assert (group["param_names"], partner["param_names"]) == (["a", "c"], ["b"])
    assert partner["tags"] == ["x"] and partner["tags"] is not group["tags"]


def test_a_learning_rate_in_a_tensor_is_each_groups_own() -> None:
    optimizer = torch.optim.SGD(parameters(), lr=torch.tensor(0.5), weight_decay=0.1)
    add_partner_groups(optimizer, 0)
    optimizer.param_groups[0]["lr"] *= 0.1
    assert float(optimizer.param_groups[1]["lr"]) == 0.5
