"""The decay of scale-invariant weights, in a plain training loop."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling import ScaleInvariantDecay


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip


INVARIANT = ("0.weight", "3.weight")


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, decay: ScaleInvariantDecay, steps: int) -> None:
    for seed in range(steps):
        x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        with decay.observing():
            loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("mult", [0.0, 0.5, 10])
def test_found_weights_have_their_own_decay_and_all_others_keep_theirs(mult: float) -> None:
    model = network()
    optimizer = optimizer_of(model)
    train(model, optimizer, ScaleInvariantDecay(model, optimizer, decay_mult=mult), 1)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        expected = 0.01 * mult if name in INVARIANT else 0.01
        assert decay[id(parameter)] == pytest.approx(expected), name


def test_a_factor_of_one_trains_as_the_optimizer_alone() -> None:
    plain, watched = network(), network()
    optimizer = optimizer_of(watched)
    decay = ScaleInvariantDecay(watched, optimizer)
    train(watched, optimizer, decay, 3)
    assert len(optimizer.param_groups) == 1 and len(decay.invariant_weights.selected) == 2
    alone = optimizer_of(plain)
    for seed in range(3):
        x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
        alone.zero_grad()
        plain(x).square().mean().backward()
        alone.step()
    for name, value in plain.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name


def test_a_factor_with_nothing_to_act_on_is_refused_and_one_of_1_is_not() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    with pytest.raises(ModelError, match="nothing to act on"):
        train(model, optimizer_of(model), ScaleInvariantDecay(model, optimizer_of(model), decay_mult=0), 1)
    optimizer = optimizer_of(model)
    train(model, optimizer, ScaleInvariantDecay(model, optimizer), 1)


def test_a_factor_with_nothing_but_untrained_weights_to_act_on_is_refused_with_the_reason() -> None:
    model = network()
    model[0].weight.requires_grad_(False)
    model[3].weight.requires_grad_(False)
    decay = ScaleInvariantDecay(model, optimizer_of(model), decay_mult=0)
    with pytest.raises(ModelError, match=r"nothing to act on: 0\.weight feeds only 1; .* it is not trained"):
        train(model, optimizer_of(model), decay, 1)


def test_state_goes_on_bit_for_bit() -> None:
    model = network()
    optimizer = optimizer_of(model)
    decay = ScaleInvariantDecay(model, optimizer, decay_mult=0)
    train(model, optimizer, decay, 3)
    resumed = network()
    resumed.load_state_dict(model.state_dict())
    other = optimizer_of(resumed)
    second = ScaleInvariantDecay(resumed, other, decay_mult=0)
    second.load_state_dict(copy.deepcopy(decay.state_dict()))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(model, optimizer, decay, 2)
    train(resumed, other, second, 2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("options", [{"granularity": "layer"}, {"frozen_bn": "fold"}, {"decay_mult": 0.5}])
def test_a_run_with_other_options_is_not_gone_on_with(options: dict) -> None:
    model = network()
    optimizer = optimizer_of(model)
    decay = ScaleInvariantDecay(model, optimizer, decay_mult=0)
    train(model, optimizer, decay, 1)
    other = ScaleInvariantDecay(model, optimizer_of(model), **{"decay_mult": 0, **options})
    with pytest.raises(OptionError, match=next(iter(options))):
        other.load_state_dict(decay.state_dict())
