"""What one forward showed of a model's weights: plain data, merged over processes, saved in checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from wrs_mm.errors import ModelError


@dataclass
class Feed:
    """One way in which a weight feeds one norm layer.

    Attributes:
        norm: The norm layer's name.
        bias: The name of the bias that the convolution adds before it, if any.
        filters: For each channel of the norm layer the filter that feeds it, or -1 for none of this weight.
    """

    norm: str
    bias: str | None
    filters: tuple[int, ...]


@dataclass
class NormFacts:
    """What was seen of a norm layer.

    Attributes:
        mean: Name of the buffer with its running mean; None where it keeps no statistics.
        var: Name of the buffer with its running variance.
        eps: Its ε.
        frozen: It normalized with stored statistics at least once.
        other_inputs: Per channel, whether anything but a filter fed it at least once.
    """

    mean: str | None
    var: str | None
    eps: float
    frozen: bool
    other_inputs: list[bool]


@dataclass
class WeightFacts:
    """What was seen of a weight.

    Attributes:
        shape: The parameter's shape.
        transposed_groups: Number of groups of a transposed convolution; 0 for all others.
        trained: It requires a gradient.
        computed_by: Name of the module that computes it; None for a parameter of the model.
        used: It was used at all.
        feeds: The norm layers that it feeds.
        reasons: Why it is not scale-invariant, at any granularity.
        filter_reasons: Why its filters are not scale-invariant each on its own.
        grouped_norms: Norm layers that it feeds, where they normalize several channels together.
        tied: Sets of filters that those can only be scaled together for.
        standardized: What feeds them is not linear in its scale (``Flow.linear``).
    """

    shape: tuple[int, ...]
    transposed_groups: int
    trained: bool
    computed_by: str | None = None
    used: bool = False
    feeds: list[Feed] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    filter_reasons: list[str] = field(default_factory=list)
    grouped_norms: list[str] = field(default_factory=list)
    tied: list[tuple[int, ...]] = field(default_factory=list)
    standardized: bool = False


@dataclass
class Observation:
    """Everything that one forward showed. Picklable.

    Attributes:
        weights: Facts by name: of every convolution and linear weight, in the order of the model's
            parameters; of others that were used as one; and of weights that a module computes.
        norms: Facts by name of the norm layer.
    """

    weights: dict[str, WeightFacts] = field(default_factory=dict)
    norms: dict[str, NormFacts] = field(default_factory=dict)


def add_once(items: list, item: Any) -> None:
    """Append what is not yet in the list."""
    if item not in items:
        items.append(item)


def merge(observations: Sequence[Observation]) -> Observation:
    """What several processes, each with a batch of its own, saw together.

    Raises:
        ModelError: The processes do not train the same model.
    """
    first = observations[0]
    own = [_parameters_only(o) for o in observations]
    if any(o != own[0] for o in own):
        raise ModelError(
            "the processes train different models: build the same model, with the same frozen parts, on each"
        )
    merged = Observation()
    for observation in observations:
        for name, facts in observation.weights.items():
            known = merged.weights.get(name)
            if known is None:
                merged.weights[name] = copy.deepcopy(facts)
                continue
            known.used |= facts.used
            known.standardized |= facts.standardized
            for key in _WEIGHT_LISTS:
                for item in getattr(facts, key):
                    add_once(getattr(known, key), item)
        for name, norm in observation.norms.items():
            seen = merged.norms.get(name)
            if seen is None:
                merged.norms[name] = copy.deepcopy(norm)
                continue
            seen.frozen |= norm.frozen
            seen.other_inputs = [a or b for a, b in zip(seen.other_inputs, norm.other_inputs, strict=True)]
    order = {name: i for i, name in enumerate(first.weights)}
    merged.weights = dict(
        sorted(merged.weights.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    )
    return merged


_WEIGHT_LISTS = ("feeds", "reasons", "filter_reasons", "grouped_norms", "tied")


def _parameters_only(observation: Observation) -> dict[str, tuple]:
    """What of an observation must not depend on the batch: the weights and whether they are trained."""
    return {
        name: (facts.shape, facts.trained)
        for name, facts in observation.weights.items()
        if facts.computed_by is None
    }


def to_plain(observation: Observation) -> dict[str, Any]:
    """An observation as dicts, lists, tuples, strings, numbers and None, for a checkpoint."""
    plain = asdict(observation)
    for facts in plain["weights"].values():
        for key in ("tied", "standardized"):
            if not facts[key]:
                del facts[key]  # as in checkpoints that know of none
    return plain


def from_plain(plain: Mapping[str, Any]) -> Observation:
    """The observation that :func:`to_plain` was given."""
    weights = {}
    for name, facts in plain["weights"].items():
        feeds = [Feed(**{**feed, "filters": tuple(feed["filters"])}) for feed in facts["feeds"]]
        tied = [tuple(filters) for filters in facts.get("tied", ())]
        own = {"feeds": feeds, "shape": tuple(facts["shape"]), "tied": tied}
        weights[name] = WeightFacts(**{**facts, **own})
    return Observation(weights, {name: NormFacts(**facts) for name, facts in plain["norms"].items()})
