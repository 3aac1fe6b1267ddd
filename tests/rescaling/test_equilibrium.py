"""The equilibria of weight decay, against filters that real optimizers move by made-up gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from made_up_dynamics import gradient_of
from torch import Tensor, nn

from wrs_mm.errors import OptionError
from wrs_mm.rescaling.dynamics import QUANTITIES, UpdateWatch, WatchedWeight
from wrs_mm.rescaling.equilibrium import (
    equilibrium_norm,
    equilibrium_turn,
    law_of,
    updates_to_equilibrium,
)

FILTERS, SIZE = 32, 128


def moved(
    kind: Callable[..., torch.optim.Optimizer], start: float, updates: int, measured: int, **options: Any
) -> tuple[dict[str, Tensor], Tensor]:
    """Filters after so many updates: what was measured of the last ones; ``(updates, filters)`` all norms.

    Half of the filters have gradients three times as long as the others'.
    """
    torch.manual_seed(0)
    weight = torch.randn(FILTERS, SIZE, dtype=torch.float64)
    weight = nn.Parameter(start * weight / weight.norm(dim=1, keepdim=True))
    unit = torch.tensor([0.5, 1.5], dtype=torch.float64).repeat(FILTERS // 2)
    optimizer = kind([weight], **options)
    watch = UpdateWatch(optimizer, [WatchedWeight("weight", weight)])
    rows, norms = [], []
    for update in range(updates):
        weight.grad = gradient_of(weight.detach(), unit)
        if update >= updates - measured:
            watch.ask()
        optimizer.step()
        row = watch.take()
        if row is not None:
            rows.append(row[0])
        norms.append(weight.detach().norm(dim=1))
    return dict(zip(QUANTITIES, torch.stack(rows).T, strict=True)), torch.stack(norms)


def mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_sgd_turns_filters_and_keeps_them_long_as_predicted(momentum: float) -> None:
    lr, decay = 0.1, 0.03 * (1 - momentum)
    found, _ = moved(torch.optim.SGD, 1.0, 800, 50, lr=lr, weight_decay=decay, momentum=momentum)
    assert (found["lr"] == lr).all() and (found["momentum"] == momentum).all()
    assert found["weight_decay"].numpy() == pytest.approx(decay)
    turn = equilibrium_turn("sgd", lr, decay, momentum)
    assert mean_square(found["turn"]) == pytest.approx(turn, rel=0.01)
    # A prediction without 1 + α would be off by 22 % and more; that of the norm without 1 − α by 19 %.
    squared = float(found["unit_gradient"].square().mean())
    norm = equilibrium_norm(lr, decay, momentum, squared)
    measured = float(found["norm_4"].pow(4).mean() ** 0.25)
    assert measured == pytest.approx(norm, rel=0.01)
    # The fourth powers are what can be averaged over filters: their lengths differ by √3.
    assert mean_square(found["norm"]) < 0.95 * norm


@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_adamw_turns_filters_as_predicted(beta: float) -> None:
    lr, decay = 0.01, 0.5
    options = {"lr": lr, "weight_decay": decay, "betas": (beta, 0.99), "eps": 1e-30}
    found, _ = moved(torch.optim.AdamW, 1.0, 800, 50, **options)
    assert (found["momentum"] == beta).all()
    turn = equilibrium_turn("adamw", lr, decay, beta)
    assert mean_square(found["turn"]) == pytest.approx(turn, rel=0.02)


@pytest.mark.parametrize(("law", "start"), [("sgd", 4.0), ("sgd", 0.7), ("adamw", 3.0)])
def test_the_distance_to_the_equilibrium_falls_to_1_in_e_within_the_updates_that_are_named(
    law: str, start: float
) -> None:
    if law == "sgd":
        options: dict[str, Any] = {"lr": 0.1, "weight_decay": 6e-3, "momentum": 0.5}
        momentum, power, kind = 0.5, 4, torch.optim.SGD
    else:
        options = {"lr": 0.01, "weight_decay": 0.5, "betas": (0.9, 0.99), "eps": 1e-30}
        momentum, power, kind = 0.9, 2, torch.optim.AdamW  # type: ignore[assignment]
    time = updates_to_equilibrium(law, options["lr"], options["weight_decay"], momentum)
    _, norms = moved(kind, start, round(6 * time), 1, **options)
    means = norms.pow(power).mean(1)
    distance = means - means[-50:].mean()
    # From the first tenth on, when momentum has come up to speed.
    begin = round(0.1 * time)
    assert float(distance[begin + round(time)] / distance[begin]) == pytest.approx(1 / math.e, rel=0.1)


PLAIN = [nn.Parameter(torch.ones(2))]


@pytest.mark.parametrize(
    ("optimizer", "law"),
    [
        (torch.optim.SGD(PLAIN, lr=0.1, momentum=0.9), "sgd"),
        (torch.optim.SGD(PLAIN, lr=0.1, momentum=0.9, nesterov=True), ""),
        (torch.optim.SGD(PLAIN, lr=0.1, momentum=0.9, dampening=0.5), ""),
        (torch.optim.AdamW(PLAIN), "adamw"),
        (torch.optim.AdamW(PLAIN, amsgrad=True), ""),
        (torch.optim.Adam(PLAIN), ""),
        (torch.optim.RMSprop(PLAIN), ""),
    ],
)
def test_a_law_is_named_only_for_optimizers_whose_update_it_is_about(
    optimizer: torch.optim.Optimizer, law: str
) -> None:
    assert law_of(optimizer) == law


def test_an_unknown_law_is_refused() -> None:
    for of in (equilibrium_turn, updates_to_equilibrium):
        with pytest.raises(OptionError, match="write one of sgd, adamw"):
            of("adam", 0.1, 0.1, 0.9)
