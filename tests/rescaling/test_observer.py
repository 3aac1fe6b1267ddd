"""What one forward of a small module shows; real models are in test_families and test_real_models."""

from __future__ import annotations

import pytest
import torch
from small_networks import Branches, sequence, verdicts
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wrs_mm.rescaling import judge, observe


@pytest.mark.parametrize(
    "between",
    [
        [],
        [nn.ReLU()],
        [nn.LeakyReLU(0.1, inplace=True)],
        [nn.MaxPool2d(2)],
        [nn.AvgPool2d(3, padding=1)],
        [nn.AdaptiveAvgPool2d(4)],
        [nn.Upsample(scale_factor=2, mode="bilinear")],
        [nn.ZeroPad2d(1)],
        [nn.Dropout2d(0.5)],
        [nn.PReLU()],
        [nn.Identity(), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()],
    ],
    ids=lambda modules: "+".join(type(m).__name__ for m in modules) or "nothing",
)
def test_homogeneous_operations_on_each_channel_keep_the_invariance(between: list[nn.Module]) -> None:
    verdict = verdicts(sequence(*between), torch.randn(2, 3, 12, 12))["0.weight"]
    assert verdict.scale_invariant and verdict.selected, verdict.reason
    assert verdict.norm_layers == (str(len(between) + 1),)


@pytest.mark.parametrize(
    "between", [nn.SiLU(), nn.Sigmoid(), nn.GELU(), nn.Hardswish(), nn.ReLU6(), nn.Conv2d(6, 6, 1)]
)
def test_other_operations_break_it_and_are_named(between: nn.Module) -> None:
    verdict = verdicts(sequence(between), torch.randn(2, 3, 12, 12))["0.weight"]
    assert not verdict.scale_invariant
    assert "before any norm layer" in verdict.reason


@pytest.mark.parametrize(
    ("between", "invariant"),
    [([], True), ([nn.MaxPool2d(2)], True), ([nn.AvgPool2d(2)], True), ([nn.Upsample(scale_factor=2)], True),
     ([nn.ReLU()], False), ([nn.ZeroPad2d(1)], False), ([nn.AvgPool2d(3, padding=1)], False)],
)  # fmt: skip
def test_a_bias_passes_only_what_commutes_with_a_constant(between: list[nn.Module], invariant: bool) -> None:
    verdict = verdicts(sequence(*between, bias=True), torch.randn(2, 3, 12, 12))["0.weight"]
    assert verdict.scale_invariant is invariant, verdict.reason


@pytest.mark.parametrize("join", ["cat", "shuffle"])
@pytest.mark.parametrize("batch", [0, 2])
def test_channels_are_followed_through_cat_and_shuffle_even_in_an_empty_batch(join: str, batch: int) -> None:
    model = Branches(join)
    with observe(model) as observation:
        model(torch.randn(batch, 3, 8, 8))
    a, b = judge(observation)
    assert a.scale_invariant and b.scale_invariant, a.reason
    expected = (0, 1, 2, 3, -1, -1, -1, -1) if join == "cat" else (0, -1, 1, -1, 2, -1, 3, -1)
    assert a.feeds[0].filters == expected


@pytest.mark.parametrize("join", ["batch", "add", "used elsewhere"])
def test_mixed_channels_and_other_uses_break_the_invariance(join: str) -> None:
    found = verdicts(Branches(join), torch.randn(2, 3, 8, 8))
    assert not found["a.weight"].scale_invariant


def test_a_weight_used_twice_needs_a_norm_layer_each_time() -> None:
    class Twice(nn.Module):
        def __init__(self, both: bool) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.bns = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])
            self.both = both

        def forward(self, x: Tensor) -> Tensor:
            first, second = self.conv(x), self.conv(x[..., ::2])
            second = self.bns[1](second) if self.both else second
            return self.bns[0](first).mean() + second.mean()

    both = verdicts(Twice(True), torch.randn(2, 3, 8, 8))["conv.weight"]
    assert both.scale_invariant and set(both.norm_layers) == {"bns.0", "bns.1"}
    assert not verdicts(Twice(False), torch.randn(2, 3, 8, 8))["conv.weight"].scale_invariant


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions_are_read_by_output_channel(groups: int) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=groups), nn.BatchNorm2d(6))
    verdict = verdicts(model, torch.randn(2, 4, 8, 8))["0.weight"]
    assert verdict.scale_invariant and verdict.feeds[0].filters == tuple(range(6))


def test_linear_before_batch_norm_1d() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    found = verdicts(model, torch.randn(6, 5))
    assert found["0.weight"].scale_invariant and not found["2.weight"].scale_invariant


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_hides_nothing(reentrant: bool) -> None:
    model = sequence(nn.ReLU())
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    with observe(model) as observation:
        checkpoint(model, x, use_reentrant=reentrant).mean()
    assert judge(observation)[0].scale_invariant


class RegisterPostBackwardFunction(torch.autograd.Function):
    """As fully_shard has it between two of its units, under this name."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, state: object, x: Tensor) -> tuple[Tensor]:
        return (x,)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[None, Tensor]:
        return None, grad


def test_functions_by_which_fully_shard_learns_of_the_backward_hand_labels_on() -> None:
    class Unit(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not x._is_view() or x._base is not None  # fully_shard asks so too
            (y,) = RegisterPostBackwardFunction.apply(self, x)
            assert y is not x
            return y

    verdict = verdicts(sequence(Unit(), bias=True), torch.randn(2, 3, 12, 12))["0.weight"]
    assert verdict.scale_invariant and verdict.feeds[0].bias == "0.bias"


class _Exponential(torch.autograd.Function):
    """An operation of its own, as compiled extensions are: nothing but its name can be known."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        return x.exp()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        return grad


def test_a_second_use_by_an_autograd_function_breaks_it_and_is_named() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return self.norm(y) + _Exponential.apply(y)

    verdict = verdicts(Twice(), torch.randn(2, 3, 8, 8))["conv.weight"]
    assert not verdict.scale_invariant
    assert "_Exponential" in verdict.reason
    # What was put beside the functions for the observation is gone.
    assert float(_Exponential.apply(torch.zeros(()))) == 1
