"""What is measured of an update, against the same worked out filter by filter, and against theory."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from made_up_dynamics import gradient_of
from torch import Tensor, nn

from wrs_mm.rescaling.dynamics import (
    QUANTITIES,
    UpdateWatch,
    WatchedWeight,
    is_plain_sgd,
    is_sgd,
    measure,
)

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def named(row: Tensor) -> dict[str, float]:
    return dict(zip(QUANTITIES, row.tolist(), strict=True))


def by_hand(filters: list[tuple[Tensor, Tensor, Tensor]], sgd: bool) -> dict[str, float]:
    """The quantities of filters that are given one by one: before, after, gradient."""
    norms = [math.sqrt(float((w * w).sum())) for w, _, _ in filters]
    news = [math.sqrt(float((w * w).sum())) for _, w, _ in filters]
    grads = [math.sqrt(float((g * g).sum())) for _, _, g in filters]
    turns = [
        math.acos(min(1.0, float((w * new).sum()) / (n * m)))
        for (w, new, _), n, m in zip(filters, norms, news, strict=True)
    ]
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    eta = SGD["lr"] / (1 - SGD["momentum"])
    return {
        "norm": math.sqrt(mean([n * n for n in norms])),
        "norm_mean": mean(norms),
        "norm_min": min(norms),
        "norm_max": max(norms),
        "effective_lr": SGD["lr"] / mean([n * n for n in norms]) ** (1 if sgd else 0.5),
        "turn": math.sqrt(mean([t * t for t in turns])),
        "turn_50": sorted(turns)[len(turns) // 2],
        "cosine": max(
            abs(float((w * g).sum())) / (n * k) for (w, _, g), n, k in zip(filters, norms, grads, strict=True)
        ),
        "unit_gradient": math.sqrt(mean([(n * k) ** 2 for n, k in zip(norms, grads, strict=True)])),
        "growth": mean([(m / n) ** 2 - 1 for n, m in zip(norms, news, strict=True)]),
        "predicted_growth": mean([(eta * k / n) ** 2 for n, k in zip(norms, grads, strict=True)])
        - 2 * eta * SGD["weight_decay"],
    }


@pytest.mark.parametrize("sgd", [True, False])
@pytest.mark.parametrize("kind", ["convolution", "channels_last", "linear", "transposed"])
def test_each_quantity_is_what_it_is_filter_by_filter(kind: str, sgd: bool) -> None:
    shape = {"linear": (5, 4), "transposed": (4, 5, 3, 3)}.get(kind, (5, 4, 3, 3))
    w, g = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    new = w + 0.1 * torch.randn_like(w)
    groups = 1 if kind == "transposed" else 0
    split = [(w[:, i], new[:, i], g[:, i]) if groups else (w[i], new[i], g[i]) for i in range(5)]
    expected = by_hand(split, sgd)
    if kind == "channels_last":
        w, new = w.to(memory_format=torch.channels_last), new.to(memory_format=torch.channels_last)
    found = named(measure(w, new, g, SGD, sgd, groups))
    if not sgd:
        assert math.isnan(found["predicted_growth"])
        del expected["predicted_growth"]
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-9)
    assert found["zero"] == found["nonfinite"] == 0


def test_a_small_turn_is_seen_in_float32() -> None:
    w = torch.tensor([[1.0, 0.0]])
    for angle in (1e-2, 1e-5):
        turned = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64).float()
        assert named(measure(w, turned, None, SGD, True))["turn"] == pytest.approx(angle, rel=1e-3)


def test_filters_that_are_zero_or_not_finite_are_counted_and_left_out() -> None:
    w = torch.ones(4, 3, dtype=torch.float64)
    w[0], w[1] = 0.0, torch.nan
    found = named(measure(w, w, torch.ones_like(w), SGD, True))
    assert found["zero"] == found["nonfinite"] == 0.25
    assert found["norm"] == found["norm_min"] == found["norm_max"] == pytest.approx(math.sqrt(3))
    assert found["turn"] == 0 and found["turn_90"] == 0
    nothing = named(measure(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 3), SGD, True))
    assert nothing.pop("zero") == 1 and nothing.pop("nonfinite") == 0
    of_the_optimizer = {key: nothing.pop(key) for key in SGD}
    assert of_the_optimizer == pytest.approx(SGD) and all(map(math.isnan, nothing.values()))


class Invariant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 8, dtype=torch.float64))

    def loss(self, x: Tensor) -> Tensor:
        """One that does not feel the norms of rows."""
        return (nn.functional.normalize(self.weight, dim=1) @ x).sigmoid().square().mean()


def watched(optimizer: str, **options: Any) -> tuple[Invariant, torch.optim.Optimizer, UpdateWatch]:
    torch.manual_seed(0)
    model = Invariant()
    made: torch.optim.Optimizer = getattr(torch.optim, optimizer)(model.parameters(), **options)
    return model, made, UpdateWatch(made, [WatchedWeight("weight", model.weight)])


def step(model: Invariant, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model.loss(torch.randn(8, 3, dtype=torch.float64)).backward()
    optimizer.step()


def test_plain_sgd_grows_by_what_orthogonality_predicts() -> None:
    model, optimizer, watch = watched("SGD", lr=3.0)
    for _ in range(3):
        watch.ask()
        step(model, optimizer)
        measured = watch.take()
        assert measured is not None
        found = named(measured[0])
        assert found["cosine"] < 1e-12
        assert found["growth"] > 1e-6
        assert found["growth"] == pytest.approx(found["predicted_growth"], rel=1e-9)


@pytest.mark.parametrize(
    ("momentum", "dampening", "decay"),
    [(0.0, 0.0, 0.02), (0.9, 0.0, 0.0), (0.9, 0.0, 0.005), (0.9, 0.5, 0.02)],
)
def test_growth_is_in_the_mean_what_is_predicted_also_away_from_equilibrium(
    momentum: float, dampening: float, decay: float
) -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(nn.functional.normalize(torch.randn(200, 300, dtype=torch.float64), dim=1))
    options = {"momentum": momentum, "dampening": dampening, "weight_decay": decay}
    optimizer = torch.optim.SGD([weight], lr=0.002, **options)
    watch = UpdateWatch(optimizer, [WatchedWeight("weight", weight)])
    rows = []
    for update in range(260):
        weight.grad = gradient_of(weight.detach(), 1.0)  # uncorrelated, at right angles
        watch.ask()
        optimizer.step()
        measured = watch.take()
        assert measured is not None
        if update >= 60:  # the buffer is full
            rows.append(named(measured[0]))
    growth, predicted = (sum(row[key] for row in rows) for key in ("growth", "predicted_growth"))
    assert abs(growth) > 1e-3, "it is not in equilibrium"
    assert growth == pytest.approx(predicted, rel=0.05)


def test_no_growth_is_predicted_where_it_is_not_sgd_s_own_update() -> None:
    class SGDP(torch.optim.Optimizer):
        pass

    parameter = nn.Parameter(torch.ones(2, 2))
    assert is_sgd(SGDP([parameter], {"lr": 0.1})) and not is_plain_sgd(SGDP([parameter], {"lr": 0.1}))
    assert is_plain_sgd(torch.optim.SGD([parameter], lr=0.1))
    assert not is_plain_sgd(torch.optim.AdamW([parameter]))
    torch.manual_seed(0)
    model = Invariant()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = UpdateWatch(optimizer, [WatchedWeight("weight", model.weight)], whole_step=True)
    watch.ask()
    step(model, optimizer)
    measured = watch.take()
    assert measured is not None and math.isnan(named(measured[0])["predicted_growth"])


def test_the_average_turn_is_over_the_updates_that_were_looked_at_since_the_last_report() -> None:
    model, optimizer, watch = watched("SGD", lr=3.0, momentum=0.5)
    turns = []

    def turned(ask: Any) -> Tensor | None:
        before = nn.functional.normalize(model.weight.detach(), dim=1)
        ask()
        step(model, optimizer)
        cosines = (before * nn.functional.normalize(model.weight.detach(), dim=1)).sum(1)
        turns.append(float(cosines.clamp(max=1).acos().square().mean().sqrt()))
        return watch.take()

    for _ in range(2):
        turns.clear()
        for _ in range(2):
            assert turned(watch.ask_for_turns) is None
        step(model, optimizer)  # one that nobody looks at
        state = watch.state()
        assert state["looks"] == 2
        # Another watch goes on from there, as after a resume.
        watch.close()
        watch = UpdateWatch(optimizer, [WatchedWeight("weight", model.weight)])
        watch.restore(state)
        measured = turned(watch.ask)
        assert measured is not None and watch.state() == {}
        found = named(measured[0])
        assert found["turn"] == pytest.approx(turns[-1], rel=1e-6)
        assert found["turn_average"] == pytest.approx(sum(turns) / 3, rel=1e-6)


def test_an_update_is_measured_when_it_is_asked_for_and_once() -> None:
    model, optimizer, watch = watched("AdamW", lr=0.01)
    step(model, optimizer)
    assert watch.take() is None
    watch.ask()
    assert watch.take() is None  # an iteration that only accumulates
    before = model.weight.detach().clone()
    step(model, optimizer)
    measured = watch.take()
    assert measured is not None
    assert named(measured[0])["norm"] == pytest.approx(float(before.norm(dim=1).square().mean().sqrt()))
    step(model, optimizer)
    assert watch.take() is None
    watch.ask()
    watch.close()
    step(model, optimizer)
    assert watch.take() is None


def test_an_optimizer_whose_step_calls_its_parents_is_measured_as_one() -> None:
    class Twice(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step(closure)
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.mul_(0.5)

    torch.manual_seed(0)
    model = Invariant()
    optimizer = Twice(model.parameters(), lr=0.1)
    watch = UpdateWatch(optimizer, [WatchedWeight("weight", model.weight)])
    watch.ask()
    before = model.weight.detach().norm()
    step(model, optimizer)
    measured = watch.take()
    assert measured is not None
    assert model.weight.norm() < 0.6 * before
    assert named(measured[0])["growth"] == pytest.approx(-0.75, abs=0.02)


@pytest.mark.parametrize(("name", "expected"), [("SGD", True), ("Adam", False), ("AdamW", False)])
def test_how_an_update_goes_with_the_gradient(name: str, expected: bool) -> None:
    assert is_sgd(getattr(torch.optim, name)([nn.Parameter(torch.ones(1))], lr=0.1)) is expected
