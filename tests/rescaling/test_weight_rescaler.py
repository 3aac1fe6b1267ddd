"""What a rescale does and what it leaves alone: WeightRescaler, and the buckets that do its arithmetic."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling import WeightRescaler
from wrs_mm.rescaling.functional import filter_norms


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Every kind of weight: with and without bias, transposed with groups, linear."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 8, 3, groups=2, bias=False), nn.ReLU(), nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 3),
    ).to(dtype)  # fmt: skip


INVARIANT = {"0.weight": 0, "3.weight": 0, "7.weight": 2, "12.weight": 0}


def images(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1)).to(dtype)


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, rescaler: WeightRescaler, steps: int) -> None:
    x = images(next(model.parameters()).dtype)
    for _ in range(steps):
        with rescaler.observing():
            loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def norms(model: nn.Module) -> Tensor:
    parameters = dict(model.named_parameters())
    return torch.cat([filter_norms(parameters[name], groups) for name, groups in INVARIANT.items()])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "NAdam"])
def test_after_every_update_each_filter_has_the_target_norm(name: str) -> None:
    model = network()
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.01)
    rescaler = WeightRescaler(model, optimizer, target=2.0)
    for _ in range(4):
        train(model, optimizer, rescaler, 1)
        assert {v.name for v in rescaler.rescaled} == set(INVARIANT)
        torch.testing.assert_close(norms(model), torch.full((28,), 2.0), rtol=1e-6, atol=0)


def test_a_rescale_keeps_eval_output_and_training_loss_and_touches_nothing_else() -> None:
    model = network(torch.float64)
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer, interval=1000)
    train(model, optimizer, rescaler, 5)
    x = images(torch.float64)
    before = copy.deepcopy(model)
    rescaler.rescale()
    torch.testing.assert_close(norms(model), torch.ones(28, dtype=torch.float64), rtol=1e-12, atol=0)
    changed = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before.state_dict()[name])
    }
    statistics = {f"{i}.running_{kind}" for i in (1, 5, 9, 13) for kind in ("mean", "var")}
    assert changed <= set(INVARIANT) | statistics and set(INVARIANT) <= changed
    with torch.no_grad():
        old, new = before.eval()(x), model.eval()(x)
        assert float((old - new).abs().max() / old.abs().max()) < 1e-9
        for module in [*before, *model]:
            if hasattr(module, "eps"):
                module.eps = 1e-30
        old, new = before.train()(x), model.train()(x)
        assert float((old - new).abs().max() / old.abs().max()) < 1e-9


@pytest.mark.parametrize("schedule", ["constant", "decay", "decay_and_growth"])
def test_frozen_batch_norm_is_folded(schedule: str) -> None:
    model = network(torch.float64)
    with torch.no_grad():
        for _ in range(20):
            model(images(torch.float64))
    optimizer = optimizer_of(model)
    options = {"frozen_bn": "fold", "target": "init", "target_schedule": schedule, "interval": 1000}
    rescaler = WeightRescaler(model, optimizer, **options)
    for module in model:
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    start = norms(model)
    train(model, optimizer, rescaler, 3)
    x = images(torch.float64)
    with torch.no_grad():
        old = model(x)
        assert not torch.allclose(norms(model), start)
        rescaler.rescale()
        torch.testing.assert_close(model(x), old, rtol=1e-9, atol=1e-12)
        factor = 1.0 if rescaler.schedule is None else float(rescaler.schedule.factors[0])
        assert (abs(factor - 1) > 1e-4) == (schedule != "constant")
        torch.testing.assert_close(norms(model), factor * start, rtol=1e-9, atol=0)


def test_zero_nearly_dead_and_nonfinite_filters_are_skipped_and_counted() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rescaler = WeightRescaler(model, optimizer)
    train(model, optimizer, rescaler, 1)
    with torch.no_grad():
        model[0].weight[0] = 0
        model[0].weight[1] = 1e-10
        model[0].weight[2, 0, 0, 0] = float("nan")
        model[0].weight[3, 0, 0, 0] = float("inf")
    kept = model[0].weight[:4].clone()
    statistics = model[1].running_var[:4].clone()
    rescaler.rescale()
    torch.testing.assert_close(model[0].weight[:4], kept, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(model[1].running_var[:4], statistics)
    assert rescaler.skipped == {"dead": 2, "nonfinite": 2, "unfoldable": 0}


def test_a_variance_that_float32_cannot_hold_leaves_its_filter_alone() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    rescaler = WeightRescaler(model, optimizer)
    train(model, optimizer, rescaler, 1)
    with torch.no_grad():
        model[0].weight[0] *= 1e4  # c = 1e-4: c² (var + ε) is far below 10⁻³ ε
        model[1].running_var[0] = 1e-5
    rescaler.rescale()
    assert rescaler.skipped["unfoldable"] == 1
    assert float(model[0].weight[0].norm()) == pytest.approx(1e4, rel=1e-3)
    assert float(model[1].running_var[0]) == pytest.approx(1e-5)


def test_channels_last_weights_are_rescaled_in_their_own_format() -> None:
    model = network().to(memory_format=torch.channels_last)
    optimizer = optimizer_of(model)
    train(model, optimizer, WeightRescaler(model, optimizer), 2)
    assert model[3].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(norms(model), torch.ones(28), rtol=1e-6, atol=0)


def test_interval_counts_updates() -> None:
    model = network()
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer, interval=3)
    unit = []
    for _ in range(6):
        train(model, optimizer, rescaler, 1)
        unit.append(torch.allclose(norms(model), torch.ones(28), rtol=1e-6))
    assert unit == [False, False, True, False, False, True]


def test_layer_granularity_rescales_the_whole_weight() -> None:
    model = network()
    optimizer = optimizer_of(model)
    train(model, optimizer, WeightRescaler(model, optimizer, granularity="layer"), 2)
    for name in INVARIANT:
        weight = dict(model.named_parameters())[name]
        assert float(weight.norm()) == pytest.approx(1, rel=1e-6)


def grouped(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """BN after one weight, GroupNorm after another, LayerNorm after the last."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 6, 3, bias=False), nn.GroupNorm(2, 6), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4, bias=False), nn.LayerNorm(4), nn.Linear(4, 3),
    ).to(dtype)  # fmt: skip


def group_norms_of(model: nn.Module) -> Tensor:
    """Root mean square norms of the groups' filters: eight of one, two of three, one of four."""
    filters = [model.get_parameter(f"{i}.weight").detach().flatten(1).norm(dim=1) for i in (0, 3, 8)]
    squares = [*filters[0].square(), *filters[1].square().view(2, 3).mean(1), filters[2].square().mean()]
    return torch.stack(squares).sqrt()


@pytest.mark.parametrize("target", ["unit", 2.0, "init", "init_rms"])
def test_group_granularity_is_one_option_for_networks_with_several_kinds_of_norm_layers(
    target: str | float,
) -> None:
    """Filters of a group have the target as the root mean square of their norms."""
    model = grouped(torch.float64)
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer, granularity="group", target=target)
    start = group_norms_of(model)
    directions = [model[i].weight.detach().clone() for i in (3, 8)]
    train(model, optimizer, rescaler, 3)
    assert [v.groups for v in rescaler.rescaled] == [None, (0, 0, 0, 1, 1, 1), (0, 0, 0, 0)]
    sizes = torch.tensor([1.0] * 8 + [3, 3, 4], dtype=torch.float64)
    mean = (start.square() * sizes).sum().div(sizes.sum()).sqrt()
    expected = {"unit": 1.0, "init": start, "init_rms": mean}.get(target, target)
    torch.testing.assert_close(group_norms_of(model), torch.as_tensor(expected).expand(11).to(start))
    for i, before in zip((3, 8), directions, strict=True):  # filters of a group stay free against each other
        ratio = model[i].weight.detach().flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)
        assert float(ratio.max() / ratio.min()) > 1 + 1e-6


def test_a_rescale_of_groups_keeps_the_function_up_to_epsilon_in_training_and_exactly_in_eval() -> None:
    model = grouped(torch.float64)
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer, granularity="group", target=3.0, interval=1000)
    train(model, optimizer, rescaler, 3)
    for module in model:
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.eps = 1e-30
    x = images(torch.float64)
    with torch.no_grad():
        before = model.eval()(x)
        model.train()
        rescaler.rescale()
        torch.testing.assert_close(model.eval()(x), before, rtol=1e-9, atol=1e-12)


def test_a_group_rescale_can_be_resumed() -> None:
    model, other = grouped(), grouped()
    options = {"granularity": "group", "target": "init_rms", "target_schedule": "decay_and_growth"}
    optimizer, again = optimizer_of(model), optimizer_of(other)
    rescaler, resumed = WeightRescaler(model, optimizer, **options), WeightRescaler(other, again, **options)
    train(model, optimizer, rescaler, 2)
    resumed.load_state_dict(copy.deepcopy(rescaler.state_dict()))
    other.load_state_dict(model.state_dict())
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, rescaler, 2)
    train(other, again, resumed, 2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("frozen_bn", ["skip", "fold"])
def test_instance_norm_in_eval_mode_is_frozen_only_where_it_keeps_statistics(
    tracked: bool, frozen_bn: str
) -> None:
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(4, track_running_stats=tracked, eps=1e-30)
    last = nn.BatchNorm2d(2, eps=1e-30)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.Conv2d(4, 2, 3), last).double()
    optimizer = optimizer_of(model)
    x = images(torch.float64)
    model(x)
    rescaler = WeightRescaler(model, optimizer, frozen_bn=frozen_bn, target=2.0, interval=1000)
    norm.eval()
    train(model, optimizer, rescaler, 1)
    with torch.no_grad():
        before = model(x)
        rescaler.rescale()
        torch.testing.assert_close(model(x), before, rtol=1e-9, atol=1e-9)
    rescaled = not tracked or frozen_bn == "fold"
    assert [v.name for v in rescaler.rescaled] == ["0.weight", "3.weight"][not rescaled :]
    assert rescaled == torch.allclose(filter_norms(model[0].weight), torch.full((4,), 2.0).double())
    if not tracked or frozen_bn == "skip":
        return
    norm.train()  # with the image's own statistics the same weights are scale-invariant
    with torch.no_grad():
        before = model(x)
        model[0].weight *= 3
        torch.testing.assert_close(model(x), before, rtol=1e-9, atol=1e-9)


class Child(torch.optim.SGD):
    def step(self, closure=None):  # type: ignore[no-untyped-def, override]
        return super().step(closure)


@pytest.mark.parametrize("fused", [False, True, "child"])
def test_an_update_counts_once_and_a_skipped_one_not_at_all(fused: bool | str) -> None:
    model = network()
    torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)  # patches the parent's step
    if fused == "child":
        optimizer: torch.optim.Optimizer = Child(model.parameters(), lr=0.1)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=bool(fused))
    rescaler = WeightRescaler(model, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for step, poison in enumerate([False, True, False]):
        with rescaler.observing():
            loss = model(images()).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        if poison:
            model[0].weight.grad[0] = float("inf")
        scaler.step(optimizer)
        scaler.update()
        assert rescaler.updates == [1, 1, 2][step]


def test_weight_decay_goes_off_on_exactly_the_rescaled_weights() -> None:
    model = network()
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    train(model, optimizer, rescaler, 1)
    scheduler.step()
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        assert decay[id(parameter)] == (0.0 if name in INVARIANT else 1e-2), name
    assert {group["lr"] for group in optimizer.param_groups} == {0.05}


def test_a_weight_frozen_halfway_is_left_as_it_is() -> None:
    model = network()
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer)
    train(model, optimizer, rescaler, 1)
    model[0].weight.requires_grad_(False)
    with torch.no_grad():
        model[0].weight *= 2
    kept = model[0].weight.clone()
    train(model, optimizer, rescaler, 2)
    assert torch.equal(model[0].weight, kept)
    assert float(model[3].weight[0].norm()) == pytest.approx(1, rel=1e-6)


def test_state_goes_on_bit_for_bit() -> None:
    model = network()
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer, target="init", interval=2)
    train(model, optimizer, rescaler, 3)
    resumed = network()
    resumed.load_state_dict(model.state_dict())
    other = optimizer_of(resumed)
    second = WeightRescaler(resumed, other, target="init", interval=2)
    second.load_state_dict(copy.deepcopy(rescaler.state_dict()))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, rescaler, 4)
    train(resumed, other, second, 4)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    third = WeightRescaler(resumed, optimizer_of(resumed), target="unit")
    with pytest.raises(OptionError, match="target='init'"):
        third.load_state_dict(rescaler.state_dict())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), "no batch normalization"),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.GroupNorm(2, 4)),
            r"several channels together: write wrs=dict\(granularity='group'\)",
        ),
        (
            nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4)),
            "computed",
        ),
    ],
)
def test_models_without_anything_to_rescale_are_refused(model: nn.Module, message: str) -> None:
    rescaler = WeightRescaler(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ModelError, match=message), rescaler.observing():
        model(torch.randn(2, 3, 8, 8)).mean()


def shared_statistics() -> nn.Module:
    """Two convolutions into one BN, whose statistics cannot be folded for either."""
    norm = nn.BatchNorm2d(3)
    return nn.Sequential(nn.Conv2d(3, 3, 3), norm, nn.Conv2d(3, 3, 3), norm)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3).requires_grad_(False), nn.BatchNorm2d(4)), "it is not trained"),
        (shared_statistics(), "0.weight and 2.weight share the statistics of 1"),
    ],
)
def test_scale_invariant_weights_that_cannot_be_rescaled_are_refused_with_the_reason(
    model: nn.Module, why: str
) -> None:
    message = rf"^no scale-invariant weight of this model can be rescaled: 0\.weight feeds only 1; .*{why}"
    rescaler = WeightRescaler(model, optimizer_of(model))
    with pytest.raises(ModelError, match=message), rescaler.observing():
        model(images()).mean()


def test_a_network_whose_batch_norm_is_all_frozen_is_refused_with_the_way_out() -> None:
    model = network()
    for module in model:
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    rescaler = WeightRescaler(model, optimizer_of(model))
    with pytest.raises(ModelError, match="frozen_bn='fold'"), rescaler.observing():
        model(images()).mean()


@pytest.mark.parametrize(
    "options",
    [{"granularity": "channel"}, {"target": "one"}, {"target": 0}, {"target": -1.0}, {"interval": 0},
     {"interval": 1.5}, {"frozen_bn": "keep"}, {"min_norm": 2}, {"target": float("nan")}, {"interval": True}],
)  # fmt: skip
def test_values_out_of_range_are_refused(options: dict) -> None:
    model = network()
    with pytest.raises(OptionError, match=next(iter(options))):
        WeightRescaler(model, optimizer_of(model), **options)


def test_a_filter_that_was_zero_when_training_began_is_not_given_that_norm_again() -> None:
    model = network()
    with torch.no_grad():
        model[0].weight[0] = 0
    optimizer = optimizer_of(model)
    rescaler = WeightRescaler(model, optimizer, target="init")
    train(model, optimizer, rescaler, 1)
    with torch.no_grad():
        model[0].weight[0] = 1
    rescaler.rescale()
    assert bool((model[0].weight[0] == 1).all())
    assert rescaler.skipped["dead"] == 1
