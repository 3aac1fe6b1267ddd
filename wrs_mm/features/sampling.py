"""Which layers' patches are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from wrs_mm.features.patches import owners, sees_patches

LARGEST = 1200
"""Values of a filter up to which a layer is sampled: a singular value decomposition then takes seconds."""


def sampled(model: nn.Module, weights: Sequence[str], count: int) -> list[str]:
    """Some weights whose patches can be told, evenly over the network, the first and the last among them.

    Args:
        model: The network.
        weights: Names of those in question, in the order of the network.
        count: How many, at most.

    Returns:
        Names; none where there is none of at most :data:`LARGEST` values a filter.
    """
    possible = [
        name
        for name in weights
        if all(map(sees_patches, owners(model, name))) and model.get_parameter(name)[0].numel() <= LARGEST
    ]
    count = min(count, len(possible))
    places = (
        [0] * count if count < 2 else [round(i * (len(possible) - 1) / (count - 1)) for i in range(count)]
    )
    return [possible[place] for place in places]
