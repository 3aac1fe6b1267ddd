"""Which layers are looked at: a sample over the network, of features/sampling.py, or those that are named."""

from __future__ import annotations

import pytest
import torch
from small_networks import Segmentor
from torch import nn

from wrs_mm.errors import OptionError
from wrs_mm.features.sampling import LARGEST
from wrs_mm.probe.layers import chosen, named
from wrs_mm.probe.subject import Subject, make_subject


def subject(*layers: nn.Module) -> Subject:
    return make_subject(Segmentor(*layers), [{"inputs": torch.randn(3, 2, 8, 4)}])


def stack(*kernels: int) -> Subject:
    listed: list[nn.Module] = []
    for kernel in kernels:
        listed += [nn.Conv2d(2, 2, kernel, padding="same"), nn.BatchNorm2d(2)]
    return subject(*listed, nn.Conv2d(2, 4, 1))


def test_a_sample_goes_from_the_first_to_the_last() -> None:
    found = stack(1, 3, 1, 3, 1)
    names = [f"layers.{place}.weight" for place in (0, 2, 4, 6, 8)]
    assert chosen(found, 3) == [names[0], names[2], names[4]]
    assert chosen(found, 1) == names[:1] and chosen(found, 9) == names


def test_large_filters_are_only_looked_at_when_they_are_named() -> None:
    found = stack(1, 25)
    assert LARGEST < 2 * 25**2
    assert chosen(found, 5) == ["layers.0.weight"]
    assert named(found, ["layers.2", "layers.0.weight", "layers.2.weight"]) == [
        "layers.2.weight",
        "layers.0.weight",
    ]
    with pytest.raises(OptionError, match="name one by --layer"):
        chosen(stack(25), 1)


def test_mistakes_are_one_line_that_says_what_is_wrong() -> None:
    found = subject(nn.ConvTranspose2d(2, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 4, 1))
    with pytest.raises(
        OptionError, match=r"the model has no weight layers.00.weight; did you mean layers.0.wei"
    ):
        named(found, ["layers.00"])
    with pytest.raises(OptionError, match=r"--layer layers\.2 is not scale-invariant"):
        named(found, ["layers.2"])
    with pytest.raises(OptionError, match=r"--layer layers\.0 is a ConvTranspose2d"):
        named(found, ["layers.0"])
