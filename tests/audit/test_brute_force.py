"""Brute force confirms verdicts that are right, and contradicts those that are wrong (with precision.py)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from small_networks import Segmentor
from torch import Tensor, nn

from wrs_mm.audit import brute_force
from wrs_mm.errors import ConfigError
from wrs_mm.rescaling import Verdict, judge, observe


def checked(
    model: Segmentor, granularity: str = "filter", **options: Any
) -> tuple[list[Verdict], brute_force.Verification]:
    batch = {"inputs": torch.randn(3, 2, 8, 4, generator=torch.Generator().manual_seed(0))}
    with observe(model) as observation:
        model(**batch, mode="loss")
    verdicts = judge(observation, granularity)
    return verdicts, brute_force.verify(model, batch, verdicts, **options)


@pytest.mark.parametrize("quick", [False, True])
def test_a_missed_and_a_wrongly_found_weight_contradict(quick: bool) -> None:
    torch.manual_seed(0)
    model = Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    verdicts, found = checked(model, quick=quick)
    assert [v.scale_invariant for v in verdicts] == [True, False]
    assert found.disagreements(verdicts) == []
    for right in verdicts:
        turned = [dataclasses.replace(v, scale_invariant=v.scale_invariant ^ (v is right)) for v in verdicts]
        batch = {"inputs": torch.randn(3, 2, 8, 4)}
        assert brute_force.verify(model, batch, turned, quick=quick).disagreements(turned) == [right.name]


def test_the_whole_weight_and_each_filter_are_different_questions() -> None:
    model = Segmentor(nn.Conv2d(2, 8, 1, bias=False), nn.GroupNorm(2, 8))
    by_filter, found = checked(model)
    assert not by_filter[0].scale_invariant and found.disagreements(by_filter) == []
    by_layer, found = checked(model, granularity="layer")
    assert by_layer[0].scale_invariant and found.disagreements(by_layer) == []
    # Its filters one by one are not what the layer's verdict speaks of.
    apart = [dataclasses.replace(by_layer[0], groups=None)]
    filters = brute_force.verify(model, {"inputs": torch.randn(3, 2, 8, 4)}, apart)
    assert filters.disagreements(apart) == ["layers.0.weight"]


def test_filters_of_a_group_are_multiplied_as_one_and_a_no_is_held_against_the_whole_weight() -> None:
    model = Segmentor(nn.Conv2d(2, 8, 1, bias=False), nn.GroupNorm(2, 8), nn.Conv2d(8, 4, 1))
    verdicts, found = checked(model, granularity="group")
    assert [v.scale_invariant for v in verdicts] == [True, False]
    assert verdicts[0].groups == (0,) * 4 + (1,) * 4 and verdicts[1].groups == (0,) * 4
    assert found.disagreements(verdicts) == []
    wrong = [dataclasses.replace(verdicts[0], groups=(0, 0, 0, 0, 1, 1, 2, 2)), verdicts[1]]
    batch = {"inputs": torch.randn(3, 2, 8, 4)}
    assert brute_force.verify(model, batch, wrong).disagreements(wrong) == ["layers.0.weight"]
    missed = [dataclasses.replace(verdicts[0], scale_invariant=False, groups=(0,) * 8), verdicts[1]]
    assert brute_force.verify(model, batch, missed).disagreements(missed) == ["layers.0.weight"]


@pytest.mark.parametrize("size", [1.0, 1e12])
def test_a_bias_that_is_next_to_nothing_is_woken_so_that_layer_norm_feels_the_scale(size: float) -> None:
    model = Segmentor(nn.Conv2d(2, 8, 1), nn.GroupNorm(1, 8))
    with torch.no_grad():
        model.layers[0].weight *= size
    nn.init.zeros_(model.layers[0].bias)
    verdicts, found = checked(model, granularity="layer")
    assert not verdicts[0].scale_invariant and "with a bias" in verdicts[0].reason
    assert found.disagreements(verdicts) == [] and found.loss_change[verdicts[0].name] > 1e-3
    assert not model.layers[0].bias.any(), "the model itself is left alone"


def test_filters_of_a_transposed_convolution_with_groups_are_multiplied_by_output_channel() -> None:
    verdicts, found = checked(Segmentor(nn.ConvTranspose2d(2, 4, 1, groups=2), nn.BatchNorm2d(4)))
    assert verdicts[0].scale_invariant and verdicts[0].transposed_groups == 2
    assert found.disagreements(verdicts) == [] and found.loss_change[verdicts[0].name] < 1e-12


def test_branches_that_start_at_zero_are_woken() -> None:
    model = Segmentor(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Sigmoid())
    nn.init.zeros_(model.layers[1].weight)
    nn.init.zeros_(model.layers[2].weight)
    verdicts, found = checked(model)
    assert all(found.affects_loss(v.name) for v in verdicts)
    assert found.disagreements(verdicts) == []
    assert not model.layers[2].weight.any(), "the model itself is left alone"


def test_a_weight_that_affects_the_loss_too_little_does_not_contradict() -> None:
    model = Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.Conv2d(4, 4, 1))
    model.layers[1].bias.data.fill_(1.0)
    model.layers[1].weight.data.fill_(1e-12)
    verdicts, found = checked(model)
    assert found.loss_change[verdicts[0].name] < found.tolerance
    assert found.disagreements(verdicts) == []


def test_rounding_does_not_flip_what_a_loss_picks() -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (x / 49 * 49 == x)  # equal but for rounding

    verdicts, found = checked(Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.BatchNorm2d(4), Picky()))
    assert verdicts[0].scale_invariant and found.loss_change[verdicts[0].name] == 0.0


def test_float32_inside_a_float64_model_is_widened() -> None:
    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.new_zeros(x.shape, dtype=torch.float32)
            y[x > 0] = x[x > 0]
            return y

    verdicts, found = checked(Segmentor(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), Narrow()))
    assert found.dtype is torch.float64 and found.loss_change[verdicts[0].name] < 1e-12


def test_a_loss_that_does_not_repeat_proves_nothing_and_says_so() -> None:
    model = Segmentor(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4))
    model.restless = True
    with pytest.raises(ConfigError, match="not repeatable"):
        checked(model)
