"""Each step rule against its equations worked out by hand, in float64, over seven updates at three rates.

The base optimizers are worked out by hand too (by_hand.py), so that nothing of torch's is taken for granted.
What rules have in common is in test_ruled_steps.py.
"""

from __future__ import annotations

import math

import pytest
import torch
from by_hand import LEARNING_RATES, OPTIMIZERS, Training, assert_equal, norms, update_by_hand
from torch import Tensor

from wrs_mm.errors import NotFiniteError, OptionError
from wrs_mm.rescaling import StepRule
from wrs_mm.rescaling.step_rules import LARGEST_GROWTH, Hyperball, Rotational, ScaledRate, Shifted

ALL = pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "fused"])


# -- hyperball --------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("granularity", ["layer", "filter"])
def test_hyperball_is_its_equation(optimizer: str, granularity: str) -> None:
    training = Training(Hyperball(granularity), optimizer)
    length = norms if granularity == "filter" else torch.linalg.matrix_norm  # Frobenius
    w, update, expected = training.start, update_by_hand(optimizer), []
    radius = length(w)
    for gradient, lr in zip(training.gradients, LEARNING_RATES, strict=True):
        u = update(gradient)
        moved = w - lr * radius * u / length(u)
        w = radius * moved / length(moved)
        expected.append(w)
    assert_equal(training.run(), expected)


@ALL
def test_hyperball_turns_as_far_whatever_the_gradients_size(optimizer: str) -> None:
    small, large = Training(Hyperball(), optimizer), Training(Hyperball(), optimizer)
    large.gradients = [1e4 * gradient for gradient in large.gradients]
    for one, other in zip(small.run(), large.run(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_without_an_update_there_is_no_direction_to_go_in() -> None:
    training = Training(Hyperball(), "momentum")
    torch.testing.assert_close(training.step(torch.zeros(3, 8).double(), 0.1), training.start)
    torch.testing.assert_close(training.step(training.gradients[0], 0.0), training.start)


# -- rotational -------------------------------------------------------------------------------------


def angle(optimizer: str, lr: float, weight_decay: float) -> float:
    options = OPTIMIZERS[optimizer]
    if "betas" in options:
        beta = options["betas"][0]
        return math.sqrt(2 * lr * weight_decay * (1 - beta) / (1 + beta))
    return math.sqrt(2 * lr * weight_decay / (1 + options.get("momentum", 0.0)))


@ALL
@pytest.mark.parametrize("decay", [0.9, 0.5])
def test_rotational_is_its_equations(optimizer: str, decay: float) -> None:
    training = Training(Rotational(0.02, decay), optimizer)
    w, update, expected = training.start, update_by_hand(optimizer), []
    radius, square = norms(w), torch.zeros(3, 1).double()
    for number, (gradient, lr) in enumerate(zip(training.gradients, LEARNING_RATES, strict=True), 1):
        u = update(gradient)
        u = u - (u * w).sum(1, keepdim=True) / radius**2 * w
        square = decay * square + (1 - decay) * norms(u) ** 2
        u = u / (torch.sqrt(square / (1 - decay**number)) + 1e-8)
        moved = w - angle(optimizer, lr, 0.02) * radius * u
        w = radius * moved / norms(moved)
        expected.append(w)
    assert_equal(training.run(), expected)


@pytest.mark.parametrize(
    ("optimizer", "lr", "decay"), [("sgd", 0.05, 0.1), ("momentum", 0.01, 0.1), ("adamw", 0.01, 0.5)]
)
def test_rotational_turns_as_weight_decay_does_in_equilibrium(
    optimizer: str, lr: float, decay: float
) -> None:
    """Random gradients at right angles to the weight that go with 1/‖w‖, as scale-invariant weights have."""

    def mean_turn(training: Training, updates: int) -> float:
        generator = torch.Generator().manual_seed(1)
        turns = []
        for number in range(updates):
            w = training.filters
            g = torch.randn(3, 8, generator=generator, dtype=torch.float64)
            g = (g - (g * w).sum(1, keepdim=True) / norms(w) ** 2 * w) / norms(w)
            new = training.step(g, lr)
            if number > updates // 2:
                cosine = ((new * w).sum(1, keepdim=True) / norms(w) / norms(new)).clamp(max=1)
                turns.append(cosine.acos().square())
        return float(torch.stack(turns).mean().sqrt())

    ruled = mean_turn(Training(Rotational(decay), optimizer), 1500)
    decayed = mean_turn(Training(StepRule(), optimizer, weight_decay=decay, decay_mult=1.0), 3000)
    assert ruled == pytest.approx(angle(optimizer, lr, decay), rel=0.05)
    assert ruled == pytest.approx(decayed, rel=0.15)


def test_rotational_refuses_an_optimizer_whose_equilibrium_it_does_not_know() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(OptionError, match=r"knows the angle .* SGD, Adam and AdamW, not under RMSprop"):
        Rotational(0.1).prepare(torch.optim.RMSprop([weight]))


# -- scale_lr ---------------------------------------------------------------------------------------


@ALL
def test_a_scaled_rate_is_its_equation(optimizer: str) -> None:
    training = Training(ScaledRate(), optimizer)
    power = 1 if optimizer.startswith("adam") else 2
    w, update, expected = training.start, update_by_hand(optimizer), []
    for gradient, lr in zip(training.gradients, LEARNING_RATES, strict=True):
        w = w - lr * (norms(w) / norms(training.start)) ** power * update(gradient)
        expected.append(w)
    assert_equal(training.run(), expected)


@pytest.mark.parametrize(("optimizer", "power"), [("sgd", 2), ("adam", 1)])
def test_a_scaled_rate_turns_a_weight_as_if_its_norm_had_not_grown(optimizer: str, power: int) -> None:
    """The same directions as from weights and gradients that are 100 times as long, and as short."""
    one, other = Training(ScaledRate(), optimizer), Training(ScaledRate(power), optimizer)
    with torch.no_grad():
        other.weight.mul_(100)
    for gradient, lr in zip(one.gradients, LEARNING_RATES, strict=True):
        small, large = one.step(gradient, lr), other.step(gradient / 100, lr)
        # Adam's ε is the rest.
        torch.testing.assert_close(small / norms(small), large / norms(large), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("turn", [0.01, 0.1])
def test_a_norm_grows_with_every_update_by_what_the_card_says(turn: float) -> None:
    training, generator = Training(ScaledRate(), "sgd"), torch.Generator().manual_seed(3)
    for _ in range(50):
        w = training.filters
        g = torch.randn(3, 8, generator=generator, dtype=torch.float64)
        g = g - (g * w).sum(1, keepdim=True) / norms(w) ** 2 * w
        # Of a scale-invariant filter: at a right angle to it, and the longer the shorter it is.
        training.step(turn * norms(training.start) ** 2 * g / norms(g) / norms(w), 1.0)
    grown = norms(training.filters) / norms(training.start)
    torch.testing.assert_close(grown, torch.full_like(grown, (1 + turn**2) ** 25))


def test_a_norm_that_has_grown_beyond_float32_ends_the_training_with_finite_weights() -> None:
    training = Training(ScaledRate(), "sgd")
    with torch.no_grad():
        training.weight[1].mul_(0.99 * LARGEST_GROWTH)
    training.step(training.gradients[0], 0.0)
    with torch.no_grad():
        training.weight[1].mul_(1.1)
    with pytest.raises(NotFiniteError, match=r"a filter's norm in 0\.weight has grown 1\.1e\+15 times"):
        training.step(training.gradients[0], 0.0)
    assert bool(training.weight.isfinite().all())


@pytest.mark.parametrize("gradient", [1e10, float("inf"), float("nan")])
def test_an_update_that_would_take_a_norm_beyond_float32_is_not_made(gradient: float) -> None:
    training = Training(ScaledRate(), "sgd")
    training.step(training.gradients[0], 1.0)
    before = training.weight.detach().clone()
    with pytest.raises(NotFiniteError, match="beyond float32"):
        training.step(torch.full_like(before, gradient).view_as(training.gradients[0]), 1e6)
    assert torch.equal(training.weight, before)


def test_a_scaled_rate_asks_for_the_power_of_an_optimizer_that_it_does_not_know() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    unknown = torch.optim.Rprop([weight])
    with pytest.raises(OptionError, match="does not know Rprop: write power=2 if"):
        ScaledRate().prepare(unknown)
    ScaledRate(power=1).prepare(unknown)


# -- shifted ----------------------------------------------------------------------------------------


@ALL
def test_shifted_is_its_equation(optimizer: str) -> None:
    decay, epsilon = 0.3, 0.7
    training = Training(Shifted(decay, epsilon), optimizer)
    w, update, expected = training.start, update_by_hand(optimizer), []
    for gradient, lr in zip(training.gradients, LEARNING_RATES, strict=True):
        shrink: Tensor = decay * (1 - epsilon / norms(w)) * w
        w = w - lr * (update(gradient) + shrink if optimizer == "adamw" else update(gradient + shrink))
        expected.append(w)
    assert_equal(training.run(), expected)


@ALL
def test_shifted_to_zero_is_weight_decay(optimizer: str) -> None:
    shifted = Training(Shifted(0.3, 0.0), optimizer)
    plain = Training(StepRule(), optimizer, weight_decay=0.3, decay_mult=1.0)
    assert_equal(shifted.run(), plain.run())


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_without_gradients_norms_go_to_epsilon_from_both_sides(optimizer: str) -> None:
    training = Training(Shifted(0.5, 2.0), optimizer)
    with torch.no_grad():
        training.weight[0].mul_(1e-3)
        training.weight[1].mul_(10)
    for _ in range(2000):
        filters = training.step(torch.zeros(3, 8).double(), 0.02)
    torch.testing.assert_close(norms(filters), torch.full((3, 1), 2.0).double(), rtol=1e-6, atol=0)


def test_shifted_goes_with_the_scale_of_a_fused_optimizers_gradients() -> None:
    training = Training(Shifted(0.3, 0.7), "fused")
    training.optimizer.grad_scale, training.optimizer.found_inf = torch.tensor(8.0), torch.tensor(0.0)
    shrink = 0.3 * (1 - 0.7 / norms(training.start)) * training.start
    after = training.step(8 * training.gradients[0], 0.1)
    torch.testing.assert_close(after, training.start - 0.1 * (training.gradients[0] + shrink))


# -- options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hyperball("pixel"), "granularity must be 'filter' or 'layer', not 'pixel'"),
        (lambda: Rotational(0.0), "weight_decay must be a number > 0, not 0.0"),
        (lambda: Rotational(0.1, 1.0), r"decay must be a number in \[0, 1\), not 1.0"),
        (lambda: ScaledRate(3), "power must be 'auto', 1 or 2, not 3"),
        (lambda: ScaledRate(True), "power must be 'auto', 1 or 2, not True"),
        (lambda: Shifted(-1.0), "weight_decay must be a number ≥ 0"),
        (lambda: Shifted(0.1, math.nan), "epsilon must be a number ≥ 0"),
    ],
)
def test_a_value_out_of_its_range_is_refused(make: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()  # type: ignore[operator]
