"""What all step rules have in common: when they act, on what, with which update, and how they are resumed.

Also wrs_mm.rescaling.step_rule, what a rule sees of a weight.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from by_hand import LEARNING_RATES, Training, norms
from torch import Tensor, nn

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling import RuledSteps, RuledWeight, StepRule
from wrs_mm.rescaling.functional import filter_norms
from wrs_mm.rescaling.step_rules import Hyperball, Rotational, ScaledRate, Shifted

RULES: dict[str, Any] = {
    "hyperball": Hyperball,
    "filters": lambda: Hyperball("filter"),
    "rotational": lambda: Rotational(0.01),
    "scale_lr": ScaledRate,
    "shifted": lambda: Shifted(0.1, 0.5),
}


class Kept(StepRule):
    """Notes what it is called with, and makes the optimizer's own update."""

    def __init__(self) -> None:
        self._updates: list[Tensor] = []
        self._calls: list[str] = []

    def before(self, weight: RuledWeight, group: Mapping[str, Any], state: dict[str, Tensor]) -> None:
        self._calls.append(f"before {weight.name}")

    def move(self, old: Tensor, update: Tensor, *_: Any) -> Tensor:
        self._updates.append(update.clone())
        return old + update

    def after(self, weight: RuledWeight, group: Mapping[str, Any], state: dict[str, Tensor]) -> None:
        self._calls.append(f"after {weight.name}")

    def finish(self) -> None:
        self._calls.append("finish")


class Mixed(nn.Module):
    """A convolution, a transposed one in two groups, both before BN; and a last one, not scale-invariant."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.up, self.bn2 = nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.bn2(self.up(self.bn(self.first(x)).relu())).relu())


def observed(rule: StepRule, make: Any = torch.optim.SGD, **options: Any) -> tuple[Mixed, Any, RuledSteps]:
    torch.manual_seed(0)
    model = Mixed()
    optimizer = make(model.parameters(), lr=0.1, **{"weight_decay": 0.01, **options})
    steps = RuledSteps(model, optimizer, rule)
    with steps.observing():
        loss(model)
    return model, optimizer, steps


def loss(model: nn.Module, seed: int = 0) -> Tensor:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return (model(x) - 1).abs().pow(3).mean()


def train(model: nn.Module, optimizer: torch.optim.Optimizer, updates: int, first: int = 0) -> None:
    for number in range(first, first + updates):
        optimizer.zero_grad()
        loss(model, number).backward()
        optimizer.step()


# -- when, and on what ------------------------------------------------------------------------------


def test_it_acts_on_scale_invariant_weights_only_and_switches_their_decay_off() -> None:
    model, optimizer, steps = observed(Kept())
    train(model, optimizer, 1)
    assert steps.rule._calls == [
        f"{w} {n}" for w in ("before", "after") for n in ("first.weight", "up.weight")
    ] + ["finish"]
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    off = {name for name, p in model.named_parameters() if decay[id(p)] == 0}
    assert off == {"first.weight", "up.weight"}


@pytest.mark.parametrize("rule", RULES)
def test_everything_else_trains_as_without_the_rule(rule: str) -> None:
    model, optimizer, _ = observed(RULES[rule](), momentum=0.9)
    plain, plain_optimizer, _ = observed(StepRule(), momentum=0.9)
    train(model, optimizer, 1)
    train(plain, plain_optimizer, 1)
    same = {
        n for (n, p), q in zip(model.named_parameters(), plain.parameters(), strict=True) if torch.equal(p, q)
    }
    assert same >= {n for n, _ in model.named_parameters()} - {"first.weight", "up.weight"}
    # The first update of scale_lr is the optimizer's own: no norm has grown yet. It is taken off and put on
    # again, each rounded.
    ruled, own = (dict(one.named_parameters())["up.weight"] for one in (model, plain))
    assert torch.allclose(ruled, own, rtol=1e-6, atol=1e-8) == (rule == "scale_lr")


def test_a_weight_that_is_frozen_or_has_no_gradient_is_left_alone() -> None:
    model, optimizer, steps = observed(Kept())
    model.first.weight.requires_grad_(False)
    train(model, optimizer, 1)
    assert {call.split()[-1] for call in steps.rule._calls} == {"up.weight", "finish"}
    steps.rule._calls.clear()
    optimizer.zero_grad()
    optimizer.step()
    assert steps.rule._calls == ["finish"]


def test_a_weight_whose_bn_is_frozen_in_mid_training_is_left_alone() -> None:
    model, optimizer, steps = observed(Kept())
    model.bn.eval()
    train(model, optimizer, 1)
    assert {call.split()[-1] for call in steps.rule._calls} == {"up.weight", "finish"}


def test_a_step_that_mixed_precision_skips_is_none() -> None:
    for fused in (False, True):
        model, optimizer, steps = observed(Kept(), fused=fused)
        before = copy.deepcopy(model.state_dict())
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
        scaler.scale(loss(model)).backward()
        model.first.weight.grad[0, 0, 0, 0] = torch.inf
        scaler.step(optimizer)
        scaler.update()
        assert steps.rule._calls == []
        changed = [
            n for n, v in model.state_dict().items() if "bn" not in n and not torch.equal(v, before[n])
        ]
        assert changed == []
        optimizer.zero_grad()
        scaler.scale(loss(model)).backward()
        scaler.step(optimizer)
        assert len(steps.rule._calls) == 5


def test_accumulated_gradients_are_one_update() -> None:
    model, optimizer, steps = observed(Kept())
    for seed in range(3):
        loss(model, seed).backward()
    assert steps.rule._calls == []
    optimizer.step()
    assert steps.rule._calls.count("finish") == 1


class Twice(torch.optim.SGD):
    """Its step calls its parent's."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def test_an_optimizer_whose_step_calls_its_parents_makes_one_update() -> None:
    model, optimizer, steps = observed(Kept(), Twice)
    train(model, optimizer, 2)
    assert steps.rule._calls.count("finish") == 2


def test_a_closure_is_refused_and_detached_the_step_is_the_optimizers_own() -> None:
    model, optimizer, steps = observed(Kept())
    with pytest.raises(OptionError, match=r"Kept acts on gradients that are there: call optimizer.step\(\)"):
        optimizer.step(lambda: 0.0)
    steps.detach()
    train(model, optimizer, 1)
    assert steps.rule._calls == []


# -- the update -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [torch.optim.SGD, Twice, torch.optim.AdamW])
def test_the_update_is_what_the_optimizer_adds(make: Any) -> None:
    model, optimizer, steps = observed(Kept(), make)
    plain, plain_optimizer, _ = observed(StepRule(), make)
    for number in range(3):
        before = plain.first.weight.detach().clone()
        train(model, optimizer, 1, number)
        train(plain, plain_optimizer, 1, number)
        torch.testing.assert_close(steps.rule._updates[2 * number], plain.first.weight.detach() - before)
    torch.testing.assert_close(model.first.weight, plain.first.weight)


def test_an_update_far_below_the_weights_last_digit_still_has_its_direction() -> None:
    model, optimizer, steps = observed(Kept())
    with torch.no_grad():
        model.first.weight.mul_(1e4)
    optimizer.zero_grad()
    loss(model).backward()
    expected = -0.1 * model.first.weight.grad
    before = model.first.weight.detach().clone()
    optimizer.step()
    assert torch.equal(model.first.weight, before)  # in float32 the sum is the weight
    torch.testing.assert_close(steps.rule._updates[0], expected, rtol=1e-6, atol=0)


def test_with_weight_decay_left_on_the_update_has_it() -> None:
    torch.manual_seed(0)
    model = Mixed()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    steps = RuledSteps(model, optimizer, Kept(), decay_mult=1.0)
    with steps.observing():
        loss(model)
    before = model.first.weight.detach().clone()
    train(model, optimizer, 1)
    sign = model.first.weight.grad / (model.first.weight.grad.abs() + 1e-8)  # Adam's first update
    torch.testing.assert_close(steps.rule._updates[0], -0.05 * before - 0.1 * sign, rtol=1e-4, atol=1e-6)


def test_a_step_that_fails_leaves_no_zeros() -> None:
    model, optimizer, _ = observed(Hyperball())
    loss(model).backward()
    before = copy.deepcopy(model.state_dict())
    optimizer.param_groups[-1]["lr"] = "fast"
    with pytest.raises(TypeError):
        optimizer.step()
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in ("first.weight", "up.weight"))


# -- filters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("granularity", ["filter", "layer"])
@pytest.mark.parametrize("groups", [0, 1, 2])
def test_norms_are_those_of_the_filters(groups: int, granularity: str) -> None:
    parameter = nn.Parameter(torch.randn(4, 6, 3, 3))
    weight = RuledWeight("w", parameter, groups, granularity)
    expected = filter_norms(parameter, groups, granularity)
    torch.testing.assert_close(weight.norms().reshape(-1), expected)
    torch.testing.assert_close(weight.dots(weight.filters, weight.filters).sqrt().reshape(-1), expected)
    weight.filters.mul_(3 / weight.norms())
    torch.testing.assert_close(filter_norms(parameter, groups, granularity), torch.full_like(expected, 3.0))


@pytest.mark.parametrize("rule", ["hyperball", "filters", "rotational"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_stay_in_any_memory_format_and_precision(rule: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = Mixed().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    steps = RuledSteps(model, optimizer, RULES[rule]())
    with steps.observing():
        loss(model)
    model.first.weight.data = model.first.weight.data.to(dtype)
    model.up.weight.data = model.up.weight.data.to(dtype)
    start = [filter_norms(model.first.weight), filter_norms(model.up.weight, 2)]
    pointers = [model.first.weight.data_ptr(), model.up.weight.data_ptr()]
    for _ in range(3):
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    now = [filter_norms(model.first.weight), filter_norms(model.up.weight, 2)]
    if rule == "hyperball":
        start, now = ([norms.norm() for norms in both] for both in (start, now))
    tolerance = 1e-5 if dtype is torch.float32 else 1e-2
    for one, other in zip(now, start, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=0)
    assert [model.first.weight.data_ptr(), model.up.weight.data_ptr()] == pointers


def test_a_filter_that_is_zero_stays_zero_and_finite_where_norms_are_kept() -> None:
    for rule in ("filters", "rotational"):
        training = Training(RULES[rule](), "momentum")
        with torch.no_grad():
            training.weight[0].zero_()
        training.steps.states.clear()
        training.steps._begin()
        last = training.run()[-1]
        assert torch.equal(last[0], torch.zeros(8).double()) and bool(last.isfinite().all())
        torch.testing.assert_close(norms(last)[1:], norms(training.start)[1:])


# -- refused, resumed -------------------------------------------------------------------------------


def test_a_model_with_nothing_to_act_on_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    steps = RuledSteps(model, torch.optim.SGD(model.parameters(), lr=0.1), Hyperball())
    with pytest.raises(ModelError, match="Hyperball has nothing to act on: no weight"), steps.observing():
        model(torch.randn(1, 3, 5, 5)).sum()
    frozen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    steps = RuledSteps(frozen, torch.optim.SGD(frozen.parameters(), lr=0.1), Hyperball())
    frozen[1].eval()
    why = r"count it in with scale_invariance=dict\(frozen_bn='fold'\)"
    with pytest.raises(ModelError, match=why), steps.observing():
        frozen(torch.randn(1, 3, 5, 5)).sum()


def test_a_computed_weight_is_refused() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4))
    steps = RuledSteps(model, torch.optim.SGD(model.parameters(), lr=0.1), Hyperball())
    with pytest.raises(ModelError, match=r"is computed .* before using Hyperball"), steps.observing():
        model(torch.randn(2, 3, 5, 5)).sum()


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_training_goes_on_bit_for_bit(rule: str, make: Any) -> None:
    options = {"momentum": 0.9} if make is torch.optim.SGD else {}
    model, optimizer, steps = observed(RULES[rule](), make, **options)
    train(model, optimizer, 3)
    file = io.BytesIO()
    torch.save([model.state_dict(), steps.state_dict(), optimizer.state_dict()], file)
    train(model, optimizer, 3, 3)

    file.seek(0)
    weights, own, state = torch.load(file, weights_only=True)
    resumed = Mixed()
    resumed.load_state_dict(weights)
    again = make(resumed.parameters(), lr=0.1, weight_decay=0.01, **options)
    resumed_steps = RuledSteps(resumed, again, RULES[rule]())
    resumed_steps.load_state_dict(own)
    again.load_state_dict(state)
    train(resumed, again, 3, 3)
    for name, value in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_state_of_another_rule_or_option_is_refused() -> None:
    _, _, steps = observed(Rotational(0.1))
    state = steps.state_dict()
    _, _, other = observed(Rotational(0.2))
    with pytest.raises(OptionError, match=r"weight_decay=0\.1, this run has 0\.2"):
        other.load_state_dict(state)
    _, _, another = observed(Hyperball())
    with pytest.raises(OptionError, match="another regularizer"):
        another.load_state_dict(state)


def test_an_observed_forward_is_observed_once_and_the_learning_rate_is_that_of_the_update() -> None:
    training = Training(Hyperball(), "sgd")
    turns = []
    for gradient, lr in zip(training.gradients, LEARNING_RATES, strict=True):
        before = training.filters
        now = training.step(gradient, lr)
        turns.append(float((now - before).norm()) / float(before.norm()))
    # A step of η R at right angles, projected, is at most η R long.
    assert all(0.5 * lr < turn <= 1.1 * lr for turn, lr in zip(turns, LEARNING_RATES, strict=True))
