"""Targets that follow weight decay: held, in float64, against what weight decay itself does to a twin."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer, RAdam

from wrs_mm.errors import OptionError
from wrs_mm.rescaling import WeightRescaler
from wrs_mm.rescaling.target_schedule import Decay, DecayAndGrowth, DecayAndGrowthByLayer, decayed

FILTERS, INPUTS = 128, 48
ALL = ["decay", "decay_and_growth", "decay_and_growth_by_layer"]
MakeOptimizer = Callable[[Any], Optimizer]


def network(layers: int = 1) -> nn.Sequential:
    """Scale-invariant linear layers, whose filters begin with different norms."""
    torch.manual_seed(0)
    sizes = [INPUTS, *[FILTERS] * layers]
    pairs = itertools.pairwise(sizes)
    modules = [m for a, b in pairs for m in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b))]
    return nn.Sequential(*modules).double()


def weights_of(model: nn.Sequential) -> list[nn.Parameter]:
    return [module.weight for module in model if isinstance(module, nn.Linear)]


def rescaler_of(model: nn.Sequential, optimizer: Optimizer, schedule: str, **options: Any) -> WeightRescaler:
    """One that has seen a forward."""
    rescaler = WeightRescaler(model, optimizer, target_schedule=schedule, **options)
    with rescaler.observing():
        model(torch.randn(4, INPUTS, dtype=torch.float64)).square().mean()
    assert len(rescaler.rescaled) == len(weights_of(model))
    return rescaler


def norms(weight: Tensor) -> Tensor:
    return weight.detach().norm(dim=1)


def root_mean_square(weight: Tensor) -> float:
    return float(norms(weight).square().mean().sqrt())


# -- without gradients: exactly what the optimizer's weight decay does --------------------------------

OPTIMIZERS: dict[str, MakeOptimizer] = {
    "plain SGD": lambda groups: SGD(groups),
    "momentum": lambda groups: SGD(groups, momentum=0.9),
    "dampening": lambda groups: SGD(groups, momentum=0.8, dampening=0.5),
    "Nesterov": lambda groups: SGD(groups, momentum=0.9, nesterov=True),
    "maximize": lambda groups: SGD(groups, momentum=0.5, maximize=True),
    "AdamW": lambda groups: AdamW(groups),
    "decoupled Adam": lambda groups: Adam(groups, decoupled_weight_decay=True),
    "decoupled NAdam": lambda groups: NAdam(groups, decoupled_weight_decay=True),
    "decoupled RAdam": lambda groups: RAdam(groups, decoupled_weight_decay=True),
}


def groups_of(model: nn.Sequential, strength: float) -> list[dict[str, Any]]:
    """A group a weight, with learning rates and weight decays of their own."""
    first, second = weights_of(model)
    rest = [p for p in model.parameters() if p is not first and p is not second]
    return [
        {"params": [first], "lr": 0.1, "weight_decay": strength},
        {"params": [second], "lr": 0.3, "weight_decay": strength / 2},
        {"params": rest, "lr": 0.1, "weight_decay": 0.0},
    ]


@pytest.mark.parametrize("strength", [0.05, 0.9])
@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize(
    ("schedule", "target"),
    [("decay", 2.0), ("decay", "init"), ("decay_and_growth", "init"), ("decay_and_growth_by_layer", "init")],
)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_gradients_norms_are_what_weight_decay_leaves(
    name: str, schedule: str, target: str | float, interval: int, strength: float
) -> None:
    model, twin = network(2), network(2)
    optimizer, own = (OPTIMIZERS[name](groups_of(m, strength)) for m in (model, twin))
    start = [norms(weight) for weight in weights_of(twin)]
    rescaler_of(model, optimizer, schedule, target=target, interval=interval)
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(o, 0.95) for o in (optimizer, own)]
    for _ in range(12):
        for m, o in ((model, optimizer), (twin, own)):
            for parameter in m.parameters():
                parameter.grad = torch.zeros_like(parameter)
            o.step()
        for scheduler in schedulers:
            scheduler.step()
    for weight, expected, initial in zip(weights_of(model), weights_of(twin), start, strict=True):
        shrunk = norms(expected) / initial
        assert float(shrunk.max()) < 0.99  # there is something to follow
        wanted = shrunk * (initial if target == "init" else target)
        torch.testing.assert_close(norms(weight), wanted, rtol=1e-12, atol=0)


def test_strong_decoupled_decay_goes_through_zero_as_the_weight_does() -> None:
    model = network()
    (weight,) = weights_of(model)
    optimizer = AdamW(model.parameters(), lr=1.0, weight_decay=1.5)
    rescaler_of(model, optimizer, "decay")
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.testing.assert_close(norms(weight), torch.full_like(norms(weight), 0.5), rtol=1e-12, atol=0)
    assert float((weight * before).sum()) < 0


def test_strong_decay_with_momentum_goes_through_zero_as_the_weight_does() -> None:
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = SGD([weight], lr=1.0, momentum=0.9, weight_decay=0.5)
    norm, velocity = torch.ones((), dtype=torch.float64), None
    signs = set()
    for _ in range(10):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        norm, velocity = decayed(norm, velocity, optimizer.param_groups[0])
        signs.add(float(weight.detach().sign()))
        torch.testing.assert_close(norm, weight.detach().abs()[0], rtol=1e-12, atol=0)
    assert signs == {-1.0, 1.0}


def test_sgd_shrinks_by_lr_times_decay_over_one_minus_momentum_in_the_long_run() -> None:
    lr, decay, momentum = 0.1, 1e-4, 0.9
    group = {"lr": lr, "weight_decay": decay, "momentum": momentum, "dampening": 0, "nesterov": False}
    norm, velocity = torch.ones((), dtype=torch.float64), None
    for _ in range(2000):
        before = norm
        norm, velocity = decayed(norm, velocity, group)
    assert float(1 - norm / before) == pytest.approx(lr * decay / (1 - momentum), rel=2e-3)


# -- with random gradients: what weight decay's equilibrium is ----------------------------------------


def noise(weight: Tensor, scale: Tensor, generator: torch.Generator) -> Tensor:
    """The gradient of a scale-invariant loss: at a right angle to each filter, and as ``1 / ‖w‖``.

    Of a filter of norm 1 its squared norm is ``scale²`` in the mean.
    """
    w = weight.detach()
    size = norms(weight)[:, None]
    g = torch.randn(w.shape, generator=generator, dtype=w.dtype) * scale[:, None] / math.sqrt(w.shape[1] - 1)
    return (g - (g * w).sum(1, keepdim=True) * w / size.square()) / size


def follow(
    updates: int,
    scale: Tensor,
    schedule: str | None,
    lr: float,
    decay: float,
    cosine: bool = False,
    **sgd: Any,
) -> tuple[list[float], float]:
    """Train on random gradients: root mean square norms, and the mean squared turn of a filter in total."""
    model = network()
    (weight,) = weights_of(model)
    optimizer = SGD(model.parameters(), lr=lr, weight_decay=decay, **sgd)
    if schedule is not None:
        rescaler_of(model, optimizer, schedule, target="init_rms")
    generator = torch.Generator().manual_seed(1)
    sizes, turned = [], 0.0
    for update in range(updates):
        if cosine:
            optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * update / updates)) / 2
        before = weight.detach().clone()
        weight.grad = noise(weight, scale, generator)
        optimizer.step()
        sizes.append(root_mean_square(weight))
        cosines = torch.nn.functional.cosine_similarity(before, weight.detach(), dim=1)
        turned += float((2 - 2 * cosines).mean())
    return sizes, turned


ALIKE = torch.ones(FILTERS, dtype=torch.float64)
DIFFERENT = torch.logspace(-1, 0.5, FILTERS, dtype=torch.float64)


@pytest.mark.parametrize(
    ("lr", "decay", "sgd"),
    [(0.1, 0.05, {}), (0.1, 5e-3, {"momentum": 0.9}), (0.1, 5e-3, {"momentum": 0.9, "nesterov": True}),
     (0.05, 2e-2, {"momentum": 0.8, "dampening": 0.3}), (0.3, 2e-2, {"momentum": 0.9})],
)  # fmt: skip
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("schedule", ["decay_and_growth", "decay_and_growth_by_layer"])
def test_with_growth_the_norm_is_weight_decays_all_the_way(
    schedule: str, lr: float, decay: float, sgd: dict[str, Any], cosine: bool
) -> None:
    wanted, _ = follow(300, ALIKE, None, lr, decay, cosine, **sgd)
    sizes, _ = follow(300, ALIKE, schedule, lr, decay, cosine, **sgd)
    assert max(wanted) / min(wanted) > 1.3
    assert max(abs(size / its - 1) for size, its in zip(sizes, wanted, strict=True)) < 0.01


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_with_growth_the_norm_reaches_the_equilibrium_that_is_known_for_weight_decay(momentum: float) -> None:
    lr, decay = 0.1, 0.05 * (1 - momentum)
    sizes, _ = follow(600, ALIKE, "decay_and_growth", lr, decay, momentum=momentum)
    # Wan et al., «Spherical Motion Dynamics», arXiv 2006.08419, theorem 1.
    wanted = (lr / (decay * (1 - momentum) * (2 - lr * decay / (1 + momentum)))) ** 0.25
    assert sum(sizes[-100:]) / 100 == pytest.approx(wanted, rel=0.01)
    assert abs(sizes[0] / wanted - 1) > 0.3


def test_with_growth_filters_turn_as_far_as_under_weight_decay_also_if_their_gradients_differ() -> None:
    setting = {"lr": 0.1, "decay": 5e-3, "momentum": 0.9}
    _, wanted = follow(400, DIFFERENT, None, **setting)
    _, turned = follow(400, DIFFERENT, "decay_and_growth", **setting)
    assert turned == pytest.approx(wanted, rel=0.05)
    _, without = follow(400, DIFFERENT, "decay", **setting)
    assert without > 2 * wanted


def test_by_layer_each_layer_has_the_norm_that_weight_decay_leads_it_to() -> None:
    """Of two layers in one group, whose gradients differ tenfold."""
    model, twin = network(2), network(2)
    optimizer, own = (SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-3) for m in (model, twin))
    rescaler_of(model, optimizer, "decay_and_growth_by_layer", target="init")
    for m, o in ((model, optimizer), (twin, own)):
        generator = torch.Generator().manual_seed(1)
        for _ in range(300):
            for weight, scale in zip(weights_of(m), (0.3, 3.0), strict=True):
                weight.grad = noise(weight, scale * ALIKE, generator)
            o.step()
    sizes, wanted = ([root_mean_square(weight) for weight in weights_of(m)] for m in (model, twin))
    assert wanted[1] > 2 * wanted[0]
    assert sizes == pytest.approx(wanted, rel=0.01)


def test_by_layer_a_single_weight_goes_where_its_group_goes() -> None:
    sizes, turned = follow(50, DIFFERENT, "decay_and_growth_by_layer", 0.1, 5e-3, momentum=0.9)
    wanted, turned_too = follow(50, DIFFERENT, "decay_and_growth", 0.1, 5e-3, momentum=0.9)
    assert sizes == pytest.approx(wanted, rel=1e-12) and turned == pytest.approx(turned_too, rel=1e-12)


# -- what counts --------------------------------------------------------------------------------------


def trained(
    schedule: str, updates: int = 3, **options: Any
) -> tuple[nn.Sequential, Optimizer, WeightRescaler]:
    """Two layers after a few updates with random gradients."""
    model = network(2)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.05)
    rescaler = rescaler_of(model, optimizer, schedule, **options)
    for _ in range(3):
        update(model, optimizer)
    return model, optimizer, rescaler


def update(model: nn.Sequential, optimizer: Optimizer) -> None:
    generator = torch.Generator().manual_seed(2)
    for weight in weights_of(model):
        if weight.requires_grad:
            weight.grad = noise(weight, ALIKE, generator)
    optimizer.step()


@pytest.mark.parametrize("schedule", ["decay", "decay_and_growth"])
def test_filters_keep_the_relation_of_their_starting_norms(schedule: str) -> None:
    model, _, rescaler = trained(schedule, target="init")
    assert rescaler.schedule is not None
    for weight, initial in zip(weights_of(model), weights_of(network(2)), strict=True):
        wanted = norms(initial) * rescaler.schedule.factors[0]
        torch.testing.assert_close(norms(weight), wanted, rtol=1e-12, atol=0)
        assert abs(float(rescaler.schedule.factors[0]) - 1) > 1e-3


def test_a_starting_norm_of_all_filters_is_the_root_mean_square_of_theirs() -> None:
    model = network(2)
    with torch.no_grad():
        model[0].weight[0] = 0  # dead: counts with no filter
    both = torch.cat([norms(weight) for weight in weights_of(model)])
    rescaler = rescaler_of(model, SGD(model.parameters(), lr=0.0), "constant", target="init_rms")
    rescaler.rescale()
    after = torch.cat([norms(weight) for weight in weights_of(model)])
    wanted = both[1:].square().mean().sqrt().expand(len(both) - 1)
    torch.testing.assert_close(after[1:], wanted, rtol=1e-12, atol=0)
    assert after[0] == 0


@pytest.mark.parametrize("broken", [0.0, 1e-30, math.nan, math.inf, 1e200])
@pytest.mark.parametrize("schedule", ["decay_and_growth", "decay_and_growth_by_layer"])
def test_a_filter_that_is_left_alone_does_not_move_the_others(schedule: str, broken: float) -> None:
    (model, optimizer, rescaler), (other, its, _) = trained(schedule), trained(schedule)
    with torch.no_grad():
        model[0].weight[3] = broken
        model[1].running_var[3] = 0.0  # too small to be folded with where the norm is large
        other[0].weight[3] /= other[0].weight[3].norm() * 1e12
    for _ in range(3):
        update(model, optimizer)
        update(other, its)
    assert sum(rescaler.skipped.values()) == 1
    for index, kept in ((0, torch.arange(FILTERS) != 3), (2, torch.ones(FILTERS, dtype=torch.bool))):
        wanted = norms(other[index].weight)[kept]
        torch.testing.assert_close(norms(model[index].weight)[kept], wanted, rtol=1e-12, atol=0)


def test_a_frozen_weight_leaves_the_mean_and_comes_back_to_the_others_norm() -> None:
    model, optimizer, _ = trained("decay_and_growth")
    model[0].weight.requires_grad_(False)
    model[0].weight.grad = None
    with torch.no_grad():
        model[0].weight.mul_(100)  # would move the mean if it still counted
    before = root_mean_square(model[2].weight)
    update(model, optimizer)
    assert root_mean_square(model[0].weight) > 50 * before
    assert before < root_mean_square(model[2].weight) < 1.5 * before
    model[0].weight.requires_grad_(True)
    update(model, optimizer)
    both = torch.cat([norms(model[0].weight), norms(model[2].weight)])
    torch.testing.assert_close(both, both[:1].expand_as(both), rtol=1e-12, atol=0)
    assert before < float(both[0]) < 2 * before


@pytest.mark.parametrize("schedule", ["decay", "decay_and_growth"])
def test_each_parameter_group_has_a_factor_of_its_own(schedule: str) -> None:
    model = network(2)
    optimizer = SGD(groups_of(model, 0.05), momentum=0.9)
    rescaler = rescaler_of(model, optimizer, schedule)
    assert rescaler.schedule is not None
    for _ in range(3):
        update(model, optimizer)
    first, second = rescaler.schedule.factors[0], rescaler.schedule.factors[1]
    assert rescaler.schedule.factors.keys() == {0, 1} and not torch.isclose(first, second, rtol=1e-3)
    for weight, factor in zip(weights_of(model), (first, second), strict=True):
        torch.testing.assert_close(norms(weight), factor.expand(FILTERS), rtol=1e-12, atol=0)


def test_a_weight_that_the_optimizer_does_not_update_is_not_decayed() -> None:
    model = network(2)
    optimizer = SGD(groups_of(model, 0.05), momentum=0.9)
    rescaler = rescaler_of(model, optimizer, "decay")
    assert rescaler.schedule is not None
    first, second = weights_of(model)
    first.grad = torch.zeros_like(first)
    optimizer.step()
    assert float(rescaler.schedule.factors[0]) < 1 and float(rescaler.schedule.factors[1]) == 1
    alone = SGD([first], lr=0.1, weight_decay=0.05)
    rescaler = rescaler_of(model, alone, "decay")
    alone.step()
    assert float(norms(second)[0]) == pytest.approx(1, rel=1e-12) and float(norms(first)[0]) < 1


@pytest.mark.parametrize("schedule", ALL)
def test_a_moving_target_keeps_what_the_network_computes(schedule: str) -> None:
    model, optimizer, rescaler = trained(schedule, interval=1000)
    x = torch.randn(16, INPUTS, dtype=torch.float64)
    for _ in range(20):  # variances beside which ε is nothing
        model(10 * x)
    update(model, optimizer)
    before = model.eval()(x)
    kept = weights_of(model)[0].clone()
    model.train()
    rescaler.rescale()
    assert not torch.allclose(weights_of(model)[0], kept)
    torch.testing.assert_close(model.eval()(x), before, rtol=1e-10, atol=1e-12)


# -- state --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [1, 2])
@pytest.mark.parametrize("target", [2.0, "init", "init_rms"])
@pytest.mark.parametrize("schedule", ALL)
def test_a_resumed_run_is_the_run_bit_for_bit(schedule: str, target: str | float, interval: int) -> None:
    model, optimizer, rescaler = trained(schedule, target=target, interval=interval)
    saved = copy.deepcopy((model.state_dict(), rescaler.state_dict(), optimizer.state_dict()))
    resumed = network(2)
    other = SGD(resumed.parameters(), lr=0.1, momentum=0.9, weight_decay=0.05)
    second = WeightRescaler(resumed, other, target_schedule=schedule, target=target, interval=interval)
    for holder, state in zip((resumed, second, other), saved, strict=True):
        holder.load_state_dict(state)
    for _ in range(4):
        update(model, optimizer)
        update(resumed, other)
    for weight, its in zip(weights_of(model), weights_of(resumed), strict=True):
        assert torch.equal(weight, its)
    assert not torch.equal(weights_of(model)[0], saved[0]["0.weight"])


@pytest.mark.parametrize("schedule", ALL)
def test_a_run_that_is_put_back_goes_on_as_before_in_the_same_objects(schedule: str) -> None:
    model, optimizer, rescaler = trained(schedule, target="init")
    held = (model, rescaler, optimizer)
    saved = copy.deepcopy([holder.state_dict() for holder in held])
    ends = []
    for _ in range(2):
        for holder, state in zip(held, saved, strict=True):
            holder.load_state_dict(copy.deepcopy(state))
        for _ in range(5):
            update(model, optimizer)
        ends.append([weight.detach().clone() for weight in weights_of(model)])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
    assert not torch.equal(ends[0][0], saved[0]["0.weight"])


@pytest.mark.parametrize("schedule", ALL)
def test_a_saved_state_does_not_move_with_the_run(schedule: str) -> None:
    model, optimizer, rescaler = trained(schedule)
    state = rescaler.state_dict()
    before = copy.deepcopy(state)
    update(model, optimizer)
    for key in ("factors", *(["velocities"] if schedule == "decay" else [])):
        assert state["schedule"][key] == before["schedule"][key] != rescaler.state_dict()["schedule"][key]
    for name, left in state["left"].items():
        assert torch.equal(left, before["left"][name])


@pytest.mark.parametrize("schedule", ALL)
def test_a_step_that_is_skipped_moves_nothing(schedule: str) -> None:
    model, optimizer, rescaler = trained(schedule)
    assert rescaler.schedule is not None
    before = dict(rescaler.schedule.factors)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    scaler.scale(model(torch.randn(4, INPUTS, dtype=torch.float64)).square().mean()).backward()
    model[0].weight.grad[0] = math.inf
    scaler.step(optimizer)
    assert rescaler.schedule.factors == before


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Adam, NAdam, RAdam, torch.optim.RMSprop, torch.optim.Adagrad])
def test_decay_alone_is_refused_where_it_has_no_form_and_the_way_out_is_named(kind: type[Optimizer]) -> None:
    optimizer = kind(network().parameters(), lr=0.1, weight_decay=0.1)  # type: ignore[call-arg]
    with pytest.raises(OptionError, match=f"not that of {kind.__name__}: 'decay_and_growth' follows any"):
        Decay(optimizer)
    model = network()
    optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.1)  # type: ignore[call-arg]
    rescaler_of(model, optimizer, "decay_and_growth")
    update(model, optimizer)
    (weight,) = weights_of(model)
    torch.testing.assert_close(norms(weight), norms(weight)[:1].expand(FILTERS), rtol=1e-12, atol=0)


@pytest.mark.parametrize("schedule", ALL)
def test_without_weight_decay_there_is_nothing_to_follow(schedule: str) -> None:
    model = network(2)
    without = SGD(model.parameters(), lr=0.1)
    for refused in (
        lambda: WeightRescaler(model, without, target_schedule=schedule),
        lambda: WeightRescaler(
            model, SGD(model.parameters(), lr=0.1, weight_decay=0.1), decay_mult=0, target_schedule=schedule
        ),
        # Only parameters that are not rescaled have weight decay.
        lambda: rescaler_of(
            model,
            SGD([{"params": weights_of(model)}, {"params": model[1].parameters(), "weight_decay": 1}], lr=1),
            schedule,
        ),
    ):
        with pytest.raises(OptionError, match="target_schedule follows the weight decay of the rescaled"):
            refused()


def test_schedules_are_those_of_the_option() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    kinds = [
        type(WeightRescaler(model, optimizer, target_schedule=schedule).schedule)
        for schedule in (*ALL, "constant")
    ]
    assert kinds == [Decay, DecayAndGrowth, DecayAndGrowthByLayer, type(None)]
