"""Gradients stand at a right angle to scale-invariant filters, but for what ε lets by (trajectory.py)."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import probed
import pytest
import torch
from small_networks import Segmentor
from torch import nn
from torch.optim import SGD

from wrs_mm.probe.orthogonality import radial_by_eps
from wrs_mm.probe.subject import make_subject
from wrs_mm.probe.trajectory import follow
from wrs_mm.rescaling.dynamics import QUANTITIES, measure

NEGLIGIBLE = 1e-30


@pytest.mark.parametrize("family", ["faster-rcnn", "retinanet", "pspnet"])
def test_without_eps_it_is_a_right_angle_and_with_it_what_the_equation_says(family: str) -> None:
    subject = probed.subject(family)
    exact = follow(subject.copy(NEGLIGIBLE), partial(SGD, lr=0.02), 2)
    assert exact.trained[-1].mean() > 0.9, (
        "last BN of residual blocks start at γ = 0 and wake in the first update"
    )
    assert np.nanmax(exact.cosines) < 1e-12

    own = subject.copy()
    follow(own, partial(SGD, lr=0.02), 1)
    predicted = radial_by_eps(own, 1)
    found = follow(own, partial(SGD, lr=0.0), 1, batch=1)
    sizes = np.sqrt(found.squares[0] * found.gradients[0])
    trained = found.trained[0]
    assert np.nanmax(found.cosines) > 1e-7
    assert (np.abs(found.radial[0] - predicted)[trained] / sizes[trained]).max() < 1e-12


def test_a_weight_that_is_not_scale_invariant_is_at_no_right_angle() -> None:
    subject = probed.subject("pspnet").copy(NEGLIGIBLE)
    verdict = dataclasses.replace(
        subject.verdicts[0], name="decode_head.conv_seg.weight", shape=(19, 16, 1, 1), feeds=()
    )
    classifier = dataclasses.replace(subject, verdicts=(verdict,))
    assert np.nanmax(follow(classifier, partial(SGD, lr=0.1), 1).cosines) > 1e-3


def batch() -> dict[str, torch.Tensor]:
    return {"inputs": torch.randn(3, 2, 8, 4, generator=torch.Generator().manual_seed(0))}


def test_an_activation_in_place_a_bias_and_a_layer_that_is_called_twice_are_seen() -> None:
    torch.manual_seed(0)
    layer, norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, eps=0.1)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.constant_(norm.bias, 0.5)
    repeated = (layer, norm, nn.ReLU(inplace=True))
    subject = make_subject(Segmentor(*repeated, *repeated, nn.Conv2d(2, 4, 1)), [batch()])
    assert [v.name for v in subject.verdicts] == ["layers.0.weight"]
    found = follow(subject.copy(), partial(SGD, lr=0.0), 1)
    assert np.abs(found.radial).max() > 1e-4
    np.testing.assert_allclose(found.radial[0], radial_by_eps(subject.copy()), rtol=0, atol=1e-15)


def test_of_norm_layers_whose_statistics_are_each_images_nothing_is_said() -> None:
    subject = make_subject(Segmentor(nn.Conv2d(2, 4, 1), nn.InstanceNorm2d(4), nn.Conv2d(4, 4, 1)), [batch()])
    assert np.isnan(radial_by_eps(subject)).all()


def test_numbers_filter_by_filter_agree_with_the_watch_of_trainings() -> None:
    """Against wrs_mm.rescaling.dynamics, which sums them up by weight."""
    subject = probed.subject("pspnet").copy()
    name = "backbone.layer3.0.downsample.0.weight"
    weight = subject.model.get_parameter(name)
    before = weight.detach().clone()
    found = follow(subject, partial(SGD, lr=0.1, momentum=0.9), 1)
    row = measure(before, weight.detach(), weight.grad, {"lr": 0.1, "momentum": 0.9}, sgd=True)
    said = dict(zip(QUANTITIES, row.tolist(), strict=True))
    place = subject.filters()[name]
    its = {"cosine": np.nanmax(found.cosines[:, place])}
    its["norm"] = np.sqrt(found.squares[0, place].mean())
    its["growth"] = (found.growth[0, place] / found.squares[0, place]).mean()
    its["predicted_growth"] = (found.gradients[0, place] / found.squares[0, place]).mean()
    assert its == pytest.approx({key: said[key] for key in its}, rel=1e-6, abs=1e-15)
