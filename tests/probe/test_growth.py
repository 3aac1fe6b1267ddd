"""How norms grow under SGD, momentum and Adam, against equations, simulations and the same by hand."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import probed
import pytest
from torch.optim import SGD, Adam

from wrs_mm.probe.growth import (
    growth_if_uncorrelated,
    growth_of_momentum,
    growth_of_sgd,
    over_fixed_time,
    relative_growth,
)
from wrs_mm.probe.subject import Subject
from wrs_mm.probe.trajectory import Trajectory, follow

NEGLIGIBLE = 1e-30
FAMILIES = ["faster-rcnn", "retinanet", "pspnet"]


def exact(family: str) -> Subject:
    return probed.subject(family).copy(NEGLIGIBLE)


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_sgd_adds_the_square_of_each_step_and_nothing_else(family: str) -> None:
    path = follow(exact(family), partial(SGD, lr=0.1), 3)
    predicted = growth_of_sgd(path, 0.1)
    assert predicted.max() > 1e-6
    assert (np.abs(path.growth - predicted) / path.squares[1:]).max() < 1e-14


@pytest.mark.parametrize("family", FAMILIES)
def test_momentum_adds_what_the_exact_sum_over_its_buffers_says(family: str) -> None:
    path = follow(exact(family), partial(SGD, lr=0.05, momentum=0.9), 5)
    predicted = growth_of_momentum(path, 0.9)
    assert predicted.max() > 1e-6
    assert (np.abs(path.growth - predicted) / path.squares[1:]).max() < 1e-14
    alone = (np.abs(path.growth - path.steps) / path.squares[1:]).max()
    assert alone > 1e-8, "the squares of the steps alone are not enough"


def on_a_sphere(correlated: bool, lr: float = 0.01, momentum: float = 0.9, updates: int = 6000) -> Trajectory:
    """SGD with momentum on ``⟨w / ‖w‖, r⟩``, with a new r for each update or always the same two in turns."""
    generator = np.random.default_rng(0)
    w, v = generator.normal(size=50), np.zeros(50)
    w *= 3 / np.linalg.norm(w)
    r = generator.normal(size=50)
    rows: dict[str, list[float]] = {key: [] for key in ("squares", "gradients", "steps")}
    for number in range(updates):
        # A landscape that turns on: gradients of successive updates are nearly the same.
        angle = number / 200
        if correlated:
            r = np.zeros(50)
            r[0], r[1] = 5 * math.cos(angle), 5 * math.sin(angle)
        else:
            r = generator.normal(size=50)
        norm = np.linalg.norm(w)
        g = (r - w * (w @ r) / norm**2) / norm
        rows["squares"].append(w @ w)
        rows["gradients"].append(g @ g)
        v = momentum * v + g
        rows["steps"].append(lr**2 * (v @ v))
        w = w - lr * v
    rows["squares"].append(w @ w)
    arrays = {key: np.array(values)[:, None] for key, values in rows.items()}
    nothing = np.zeros_like(arrays["steps"])
    return Trajectory(**arrays, radial=nothing, radial_steps=nothing, rounding=2**-52)


def test_uncorrelated_gradients_grow_norms_by_the_rate_that_momentum_makes_of_the_learning_rate() -> None:
    path = on_a_sphere(correlated=False)
    late = slice(1000, None)
    uncorrelated = growth_if_uncorrelated(path, 0.01, 0.9)
    assert path.growth[late].sum() == pytest.approx(uncorrelated[late].sum(), rel=0.03)
    np.testing.assert_allclose(growth_of_momentum(path, 0.9), path.growth, rtol=0, atol=1e-13)


def test_where_gradients_go_on_alike_momentum_grows_norms_by_more_and_the_exact_sum_still_holds() -> None:
    path = on_a_sphere(correlated=True)
    assert path.growth.sum() > 2 * growth_if_uncorrelated(path, 0.01, 0.9).sum()
    np.testing.assert_allclose(growth_of_momentum(path, 0.9), path.growth, rtol=0, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_half_the_learning_rate_is_half_the_growth_over_a_fixed_time(family: str) -> None:
    told: list[int] = []
    found = over_fixed_time(exact(family), lambda lr: partial(SGD, lr=lr), 0.01, 3, 3, told.append)
    assert found.rates == (0.01, 0.005, 0.0025, 0.00125) and told == [3, 6, 12, 24]
    assert found.ratios[-1] == pytest.approx(2, abs=0.3)
    assert abs(found.limit) < 0.3 * found.growth[-1]


@pytest.mark.slow
def test_adam_grows_norms_in_continuous_time_too() -> None:
    found = over_fixed_time(exact("pspnet"), lambda lr: partial(Adam, lr=lr), 1e-3, 4, 2)
    assert abs(found.limit) > 0.3 * abs(found.growth[0])


def test_adams_first_update_grows_a_filter_by_what_its_signs_say() -> None:
    subject = exact("pspnet")
    name, lr = "backbone.layer2.0.conv1.weight", 1e-3
    before = subject.model.get_parameter(name).detach().clone().flatten(1)
    path = follow(subject, partial(Adam, lr=lr), 1)
    gradient = subject.model.get_parameter(name).grad
    assert gradient is not None
    g = gradient.flatten(1)
    update = g / (g.abs() + 1e-8)
    expected = -2 * lr * (before * update).sum(1) + lr**2 * update.square().sum(1)
    found = path.growth[0, subject.filters()[name]]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-15)


def test_with_an_eps_that_is_not_negligible_the_radial_gradient_counts_too() -> None:
    path = follow(probed.subject("pspnet").copy(0.1), partial(SGD, lr=0.1), 2)
    with_radial = growth_of_sgd(path, 0.1) - 2 * 0.1 * path.radial
    assert (np.abs(path.growth - with_radial) / path.squares[1:]).max() < 1e-14
    assert (np.abs(path.growth - growth_of_sgd(path, 0.1)) / path.squares[1:]).max() > 1e-9


def test_growth_of_all_filters_is_their_mean() -> None:
    nothing = np.zeros((1, 2))
    path = Trajectory(np.array([[1.0, 4.0], [2.0, 4.0]]), nothing, nothing, nothing, nothing, 0.0)
    assert relative_growth(path) == 0.5
