"""Which layers' patches are looked at."""

from __future__ import annotations

from collections.abc import Sequence

from wrs_mm.errors import OptionError
from wrs_mm.features.patches import owners, sees_patches
from wrs_mm.features.sampling import LARGEST, sampled
from wrs_mm.probe.subject import Subject
from wrs_mm.values import did_you_mean


def chosen(subject: Subject, count: int) -> list[str]:
    """Names of some scale-invariant weights, see :func:`~wrs_mm.features.sampling.sampled`.

    Args:
        subject: The network.
        count: How many, at most.

    Raises:
        OptionError: There is none that could be sampled.
    """
    found = sampled(subject.model, [verdict.name for verdict in subject.verdicts], count)
    if not found:
        raise OptionError(
            "no scale-invariant weight of this model is that of a Conv2d or Linear layer with at most "
            f"{LARGEST} values a filter: name one by --layer"
        )
    return found


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
