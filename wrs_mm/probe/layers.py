"""Which layers' patches are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from wrs_mm.errors import OptionError
from wrs_mm.probe.patches import sees_patches
from wrs_mm.probe.subject import Subject
from wrs_mm.values import did_you_mean

LARGEST = 1200
"""Values of a filter up to which a layer is sampled: a singular value decomposition then takes seconds."""


def owners(model: nn.Module, weight: str) -> list[nn.Module]:
    """The modules whose ``weight`` is a parameter of this name."""
    parameter = model.get_parameter(weight)
    return [module for module in model.modules() if getattr(module, "weight", None) is parameter]


def sampled(subject: Subject, count: int) -> list[str]:
    """Names of some scale-invariant weights, evenly over the network, the first and the last among them.

    Args:
        subject: The network.
        count: How many, at most.

    Raises:
        OptionError: There is none that could be sampled.
    """
    possible = [
        v.name
        for v in subject.verdicts
        if all(map(sees_patches, owners(subject.model, v.name)))
        and subject.model.get_parameter(v.name)[0].numel() <= LARGEST
    ]
    if not possible:
        raise OptionError(
            "no scale-invariant weight of this model is that of a Conv2d or Linear layer with at most "
            f"{LARGEST} values a filter: name one by --layer"
        )
    count = min(count, len(possible))
    places = [0] if count == 1 else [round(i * (len(possible) - 1) / (count - 1)) for i in range(count)]
    return [possible[place] for place in places]


def named(subject: Subject, names: Sequence[str]) -> list[str]:
    """The weights of these names, each with or without ``.weight``.

    Raises:
        OptionError: There is no such weight, it is not scale-invariant, or its patches cannot be told.
    """
    found = []
    known = [v.name for v in subject.verdicts]
    for name in names:
        weight = name if name.endswith(".weight") else f"{name}.weight"
        if weight not in known:
            if weight in dict(subject.model.named_parameters()):
                raise OptionError(
                    f"--layer {name} is not scale-invariant (`wrs-mm audit CONFIG` says why), or not trained"
                )
            raise OptionError(
                f"--layer {name}: the model has no weight {weight}{did_you_mean(weight, known)}"
            )
        kinds = [type(m).__name__ for m in owners(subject.model, weight) if not sees_patches(m)]
        if kinds:
            raise OptionError(f"--layer {name} is a {kinds[0]}; the probe knows patches of Conv2d and Linear")
        found.append(weight)
    return list(dict.fromkeys(found))
