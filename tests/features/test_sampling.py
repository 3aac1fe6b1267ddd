"""A sample of layers goes over the whole network, and takes only those whose patches can be told."""

from __future__ import annotations

import pytest
from torch import nn

from wrs_mm.features.sampling import LARGEST, sampled


@pytest.mark.parametrize(
    ("count", "places"),
    [(0, []), (1, [0]), (2, [0, 4]), (3, [0, 2, 4]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])],
)
def test_it_is_even_with_both_ends(count: int, places: list[int]) -> None:
    layers = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(5)))
    names = [name for name, _ in layers.named_parameters() if name.endswith("weight")]
    assert sampled(layers, names, count) == [names[place] for place in places]


def test_large_filters_and_other_layers_are_left_out() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 2, 25), nn.ConvTranspose2d(2, 2, 1), nn.Linear(4, 4))
    assert LARGEST < 2 * 25**2
    assert sampled(layers, ["0.weight", "1.weight", "2.weight"], 3) == ["2.weight"]
    assert sampled(layers, ["0.weight", "1.weight"], 3) == []
