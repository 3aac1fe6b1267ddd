"""Weights that their layer divides by their own deviation: verdicts against brute force."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from mmcv.cnn.bricks.conv_ws import ConvAWS2d, ConvWS2d
from small_networks import verdicts
from torch import Tensor, nn
from torch.nn.functional import conv2d

from wrs_mm.errors import ModelError
from wrs_mm.rescaling import WeightRescaler

FILTERS = 6


class Computing(nn.Conv2d):
    """A convolution that computes with something made of its weight."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__(3, FILTERS, 3, bias=False)
        nn.init.normal_(self.weight, 0.5)
        self.register_buffer("beta", torch.zeros(FILTERS, 1, 1, 1))
        self.compute = compute

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.compute(self.weight))


def normalized(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(FILTERS, eps=1e-30))


def feels_scale(model: nn.Sequential) -> bool:
    """Whether any filter's scale changes what comes out, in float64."""
    model.double()
    weight = model[0].weight
    x = torch.randn(2, 3, 8, 8).double()
    with torch.no_grad():
        before = model(x)
        weight.mul_(torch.tensor([0.25, 2.0, 0.5, 4.0, 3.0, 1.5]).view(-1, 1, 1, 1))
        return not torch.allclose(model(x), before, rtol=1e-9, atol=1e-9)


def mean(w: Tensor) -> Tensor:
    return w.view(FILTERS, -1).mean(dim=1).view(-1, 1, 1, 1)


def std(w: Tensor) -> Tensor:
    return w.std(dim=(1, 2, 3), keepdim=True)


STANDARDIZING = {
    "std": lambda w: (w - mean(w)) / (std(w) + 0.1),
    "var": lambda w: (w - mean(w)) / torch.sqrt(w.view(FILTERS, -1).var(dim=1) + 0.1).view(-1, 1, 1, 1),
    "of a part": lambda w: w / (std(w[:, :2]) + 0.1),
    "mean left": lambda w: torch.div(w, std(w) + 0.1),
    "permuted": lambda w: (w.permute(1, 2, 3, 0) / (std(w).flatten() + 0.1)).permute(3, 0, 1, 2),
    "scaled": lambda w: 2.0 * (w / (std(w) + 0.1)).abs(),
}
"""Each filter by a positive number of its own."""

OTHERS = {
    "negative epsilon": lambda w: w / (std(w) - 0.7),
    "value by value": lambda w: w / (w.abs() + 0.1),
    "a part of each": lambda w: torch.cat([w[:, :1] / (std(w) + 0.1), w[:, 1:]], dim=1),
    "two parts": lambda w: torch.cat([w[:, :1] / (std(w) + 0.1), w[:, 1:] / (std(w) + 0.9)], dim=1),
    "a sum": lambda w: (w - mean(w)) / (std(w) + 0.1) + w,
    "a difference": lambda w: (w - mean(w)) / (std(w) + 0.1) - 0.3,
    "the deviation as a number": lambda w: w + std(w) + 0.1,
    "below": lambda w: 1.0 / (w.abs() + std(w) + 0.1),
}
"""What the scale of a filter still matters to."""

STRICTER = {
    "of all filters": lambda w: w / (w.std() + 0.1),
    "of some filters": lambda w: w / (w.view(2, -1).std(dim=1) + 0.1).repeat_interleave(3).view(-1, 1, 1, 1),
}
"""Positive numbers, but other filters go into them too: nobody's layer, and left out."""


@pytest.mark.parametrize("name", STANDARDIZING)
def test_what_divides_each_filter_by_its_own_deviation_does_not_feel_its_scale(name: str) -> None:
    torch.manual_seed(0)
    model = normalized(Computing(STANDARDIZING[name]))
    verdict = verdicts(model, torch.randn(2, 3, 8, 8))["0.weight"]
    assert verdict.scale_invariant and verdict.standardized and verdict.watched and not verdict.selected
    assert verdict.reason == (
        "feeds only 1; not rescaled: its layer standardizes it, dividing each filter by its deviation"
    )
    assert not feels_scale(model)


@pytest.mark.parametrize("name", [*OTHERS, *STRICTER])
def test_what_divides_it_otherwise_is_not_taken_for_that(name: str) -> None:
    torch.manual_seed(0)
    model = normalized(Computing({**OTHERS, **STRICTER}[name]))
    verdict = verdicts(model, torch.randn(2, 3, 8, 8))["0.weight"]
    assert not verdict.scale_invariant and not verdict.standardized and not verdict.watched
    assert feels_scale(model) is (name in OTHERS)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_buffer_may_be_added_where_it_is_zeros(value: float) -> None:
    """As ConvAWS2d's β is unless a checkpoint sets it."""
    torch.manual_seed(0)
    conv = Computing(lambda w: STANDARDIZING["var"](w) + conv.beta)
    conv.beta.fill_(value)
    model = normalized(conv)
    verdict = verdicts(model, torch.randn(2, 3, 8, 8))["0.weight"]
    assert verdict.scale_invariant is (value == 0)
    assert feels_scale(model) is (value != 0)


@pytest.mark.parametrize("zeros", ["parameter", "undivided"])
def test_zeros_that_may_move_are_not_added(zeros: str) -> None:
    """A parameter trains, and a running mean is zeros only when a training begins."""
    conv = Computing(lambda w: STANDARDIZING["std"](w) + conv.shift)
    conv.shift = nn.Parameter(torch.zeros(FILTERS, 1, 1, 1))
    if zeros == "undivided":
        conv.compute = lambda w: w + conv.beta
    assert not verdicts(normalized(conv), torch.randn(2, 3, 8, 8))["0.weight"].scale_invariant


@pytest.mark.parametrize("make", [ConvWS2d, ConvAWS2d])
@pytest.mark.parametrize(
    ("norm", "invariant"),
    [
        (lambda: nn.BatchNorm2d(FILTERS, eps=1e-30), True),
        (lambda: nn.GroupNorm(FILTERS, FILTERS, eps=1e-30), True),
        (lambda: nn.InstanceNorm2d(FILTERS, eps=1e-30), True),
        # Several filters share a norm, and what ε leaves of their scale differs.
        (lambda: nn.GroupNorm(2, FILTERS, eps=1e-30), False),
        (nn.Identity, False),
    ],
    ids=["batch", "group of one", "instance", "group of three", "none"],
)
@pytest.mark.parametrize("granularity", ["filter", "group", "layer"])
def test_layers_of_mmcv_before_each_norm(
    make: type[nn.Module], norm: Callable[[], nn.Module], invariant: bool, granularity: str
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(make(3, FILTERS, 3, bias=False), norm())
    # Beside which the ε of both layers is not next to nothing.
    nn.init.normal_(model[0].weight, std=1e-3)
    verdict = verdicts(model, torch.randn(2, 3, 8, 8), granularity=granularity)["0.weight"]
    assert verdict.scale_invariant is invariant
    assert feels_scale(model) is not invariant


def test_a_frozen_norm_after_it_is_not_offered_to_be_folded() -> None:
    model = nn.Sequential(ConvWS2d(3, FILTERS, 3), nn.BatchNorm2d(FILTERS).eval())
    verdict = verdicts(model, torch.randn(2, 3, 8, 8), frozen_bn="fold")["0.weight"]
    assert not verdict.scale_invariant and not verdict.selected and not verdict.watched
    assert "fold'" not in verdicts(model, torch.randn(2, 3, 8, 8))["0.weight"].reason


def test_rescaling_refuses_a_model_that_standardizes_weights() -> None:
    model = nn.Sequential(ConvAWS2d(3, FILTERS, 3), nn.BatchNorm2d(FILTERS), nn.Conv2d(FILTERS, 4, 3))
    model.append(nn.BatchNorm2d(4))
    rescaler = WeightRescaler(model, torch.optim.SGD(model.parameters(), lr=0.1))
    refused = pytest.raises(
        ModelError, match=r"the weight of 0 is computed .*weight standardization.*: remove"
    )
    with refused, rescaler.observing():
        model(torch.randn(2, 3, 8, 8))
