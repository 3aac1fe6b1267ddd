"""Projection-based weight normalization: its equation, what it projects, and where it is weight rescaling.

Also wrs_mm.rescaling.inner_layers, by which it knows a classifier.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling import WeightProjection, WeightRescaler
from wrs_mm.rescaling.functional import filter_norms
from wrs_mm.rescaling.inner_layers import inner_weights


class Network(nn.Module):
    """What stands before BN, what does not, and a classifier."""

    def __init__(self, plain: bool = True) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.up, self.bn2 = nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)
        self.plain = nn.Conv2d(6, 6, 3) if plain else nn.Identity()
        self.grouped, self.gn = (
            (nn.Conv2d(6, 4, 3), nn.GroupNorm(2, 4)) if plain else (nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4))
        )
        self.classifier = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.stem(x)).relu_()
        x = self.plain(self.bn2(self.up(x)).relu()).relu()
        return self.classifier(self.gn(self.grouped(x)).relu())


def loss(model: nn.Module, seed: int = 0) -> Tensor:
    parameter = next(model.parameters())
    x = torch.randn(2, 3, 10, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (model(x.to(parameter.dtype)) - 1).abs().pow(3).mean()


def trained(
    method: type[WeightRescaler], updates: int = 6, plain: bool = True, lr: float = 0.1, **options: Any
) -> tuple[nn.Module, WeightRescaler]:
    torch.manual_seed(0)
    model = Network(plain).double()
    sgd = {"momentum": options.pop("momentum", 0.9), "weight_decay": options.pop("weight_decay", 0.0)}
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, **sgd)
    made = method(model, optimizer, **options)
    for number in range(updates):
        with made.observing():
            value = loss(model, number)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return model, made


# -- what it is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
@pytest.mark.parametrize("interval", [1, 3])
def test_it_is_the_plain_update_and_now_and_then_the_unit_norm(optimizer: str, interval: int) -> None:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3)).double()
    (weight, *_), decay, betas = model.parameters(), 0.1, (0.8, 0.9)
    if optimizer == "momentum":
        its: Any = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
    else:
        its = torch.optim.AdamW(model.parameters(), lr=0.1, betas=betas, weight_decay=decay)
    method = WeightProjection(model, its, interval=interval)
    with method.observing():
        model(torch.randn(2, 2, 5, 5, dtype=torch.float64)).sum()
    w = weight.detach().flatten(1).clone()
    buffer, first, second = torch.zeros(3, 3, 8).double()
    for number, lr in enumerate((0.1, 0.1, 0.03, 0.03, 0.2, 0.2, 0.2), 1):
        g = torch.randn(3, 8, generator=generator, dtype=torch.float64)
        if optimizer == "momentum":
            buffer = 0.9 * buffer + g + decay * w
            w = w - lr * buffer
        else:
            first, second = betas[0] * first + (1 - betas[0]) * g, betas[1] * second + (1 - betas[1]) * g**2
            root = (second / (1 - betas[1] ** number)).sqrt() + 1e-8
            w = (1 - lr * decay) * w - lr * first / (1 - betas[0] ** number) / root
        if number % interval == 0:
            w = w / w.square().sum(1, keepdim=True).sqrt()
        for group in its.param_groups:
            group["lr"] = lr
        weight.grad = g.view_as(weight).clone()
        its.step()
        torch.testing.assert_close(weight.detach().flatten(1), w, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("interval", [1, 3])
def test_without_weight_decay_and_with_bn_everywhere_it_is_weight_rescaling(interval: int) -> None:
    model, _ = trained(WeightProjection, plain=False, interval=interval)
    other, _ = trained(WeightRescaler, plain=False, interval=interval)
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_with_weight_decay_it_is_weight_rescaling_at_a_larger_learning_rate() -> None:
    """Plain SGD: (1 − η λ) w − η g has the direction of w − η / (1 − η λ) g."""

    def weights(method: type[WeightRescaler], lr: float, decay: float) -> Tensor:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-30)).double()
        optimizer = torch.optim.SGD([model[0].weight], lr=lr, weight_decay=decay)
        made = method(model, optimizer, interval=1)
        with made.observing():
            loss(model)
        made.rescale()
        for number in range(6):
            optimizer.zero_grad()
            loss(model, number).backward()
            optimizer.step()
        return model[0].weight.detach()

    projected = weights(WeightProjection, 0.5, 0.2)
    torch.testing.assert_close(projected, weights(WeightRescaler, 0.5 / 0.9, 0.0), rtol=1e-9, atol=1e-12)
    assert not torch.allclose(projected, weights(WeightRescaler, 0.5, 0.0), rtol=1e-3)


# -- what it projects ---------------------------------------------------------------------------------


def test_it_projects_every_convolution_but_the_classifier_and_leaves_weight_decay_on() -> None:
    model, method = trained(WeightProjection, weight_decay=0.01, interval=1)
    unit = {
        name
        for name, p in model.named_parameters()
        if p.dim() == 4
        and torch.allclose(filter_norms(p, 2 if name == "up.weight" else 0), torch.ones(1).double())
    }
    assert unit == {"stem.weight", "up.weight", "plain.weight", "grouped.weight"}
    assert [verdict.name for verdict in method.rescaled[:2]] == ["stem.weight", "up.weight"]
    assert {group["weight_decay"] for group in method.optimizer.param_groups} == {0.01}


def test_the_network_in_eval_mode_feels_only_weights_without_bn() -> None:
    model, method = trained(WeightProjection, plain=False, interval=100)
    model.eval()
    before = float(loss(model))
    method.rescale()
    assert float(loss(model)) == pytest.approx(before, rel=1e-9)


def test_an_inner_layer_is_known_through_whatever_lies_between() -> None:
    model = Network().train()
    with inner_weights(model) as inner:
        loss(model)
    assert inner == {"stem.weight", "up.weight", "plain.weight", "grouped.weight"}
    with inner_weights(model) as inner, torch.no_grad():
        loss(model)
    assert inner == set()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_weight_that_only_a_detached_layer_follows_is_a_classifier() -> None:
    class Proposing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score, self.head = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            score = self.score(x)
            return score.sum() + self.head(score.detach()).sum()

    model = Proposing()
    with inner_weights(model) as inner:
        model(torch.randn(1, 3, 4, 4))
    assert inner == set()


def test_a_bn_that_two_weights_share_is_not_left_behind() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = (nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(3))
            self.own, self.bn, self.last = nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.own(self.one(x))
            return self.last(self.bn(self.two(x)) + self.bn(self.three(x))).square().mean()

    model = Shared()
    method = WeightProjection(model, torch.optim.SGD(model.parameters(), lr=0.1), interval=1)
    with method.observing():
        model(torch.randn(2, 3, 6, 6))
    assert [verdict.name for verdict in method.rescaled] == ["one.weight"]


# -- resumed ------------------------------------------------------------------------------------------


def test_a_network_without_bn_is_projected_but_for_its_classifier() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 1))
    projection = WeightProjection(model, torch.optim.SGD(model.parameters(), lr=0.1), interval=1)
    with projection.observing():
        value = loss(model)
    value.backward()
    projection.optimizer.step()
    assert [verdict.name for verdict in projection.rescaled] == ["0.weight", "2.weight"]
    for number in (0, 2):
        norms = filter_norms(model[number].weight)
        torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-6, atol=0)
    assert float((filter_norms(model[4].weight) - 1).abs().min()) > 1e-3


def test_a_network_that_is_all_classifier_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    projection = WeightProjection(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ModelError, match="nothing in this model can be projected"), projection.observing():
        loss(model)


def test_a_resumed_training_goes_on_bit_for_bit() -> None:
    model, method = trained(WeightProjection, updates=4, weight_decay=0.01, interval=3)
    file = io.BytesIO()
    torch.save([model.state_dict(), method.state_dict(), method.optimizer.state_dict()], file)
    file.seek(0)
    weights, own, state = torch.load(file, weights_only=True)
    resumed = Network().double()
    resumed.load_state_dict(weights)
    optimizer = torch.optim.SGD(resumed.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    other = WeightProjection(resumed, optimizer, interval=3)
    other.load_state_dict(own)
    optimizer.load_state_dict(state)
    for network, its in ((model, method.optimizer), (resumed, optimizer)):
        for number in range(4, 8):
            its.zero_grad()
            loss(network, number).backward()
            its.step()
    assert [v.name for v in other.rescaled] == [v.name for v in method.rescaled]
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_state_of_weight_rescaling_is_refused() -> None:
    _, rescaler = trained(WeightRescaler, interval=10, decay_mult=1.0)
    _, method = trained(WeightProjection)
    with pytest.raises(OptionError, match="another regularizer"):
        method.load_state_dict(rescaler.state_dict())
