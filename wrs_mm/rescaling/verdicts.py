"""From an observation to one verdict a weight: is it scale-invariant, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wrs_mm.rescaling.filter_groups import Groups, join, number_of_groups
from wrs_mm.rescaling.functional import number_of_filters
from wrs_mm.rescaling.observation import Feed, NormFacts, Observation, WeightFacts


@dataclass(frozen=True)
class Verdict:
    """The verdict on one weight.

    Attributes:
        name: As in ``model.named_parameters()``.
        shape: The parameter's shape.
        scale_invariant: The training loss does not change when a filter (for granularity ``'group'`` the
            filters of a group, for ``'layer'`` the whole weight) is multiplied by a positive number.
        selected: WRS rescales it, other arms set its decay apart: it is scale-invariant, or frozen BN after
            it can be folded and that was asked for; every norm layer it feeds can be folded; its layer
            does not standardize it; and it is trained.
        norm_layers: Names of the norm layers that it feeds.
        reason: Why, in words.
        transposed_groups: See :func:`wrs_mm.rescaling.functional.filter_view`.
        feeds: How it feeds them.
        used: The loss used it at all.
        groups: The filters that the verdict speaks of as one; None for each on its own. A «no» of granularity
            ``'group'`` speaks of the whole weight: not even that may be scaled.
        standardized: All that keeps it from being selected is that its layer standardizes it.
    """

    name: str
    shape: tuple[int, ...]
    scale_invariant: bool
    selected: bool
    norm_layers: tuple[str, ...]
    reason: str
    transposed_groups: int = 0
    feeds: tuple[Feed, ...] = ()
    used: bool = True
    groups: Groups | None = None
    standardized: bool = False

    @property
    def watched(self) -> bool:
        """Whether what measures scale-invariant weights in a training measures this one."""
        return self.selected or self.standardized


def judge(observation: Observation, granularity: str = "filter", frozen_bn: str = "skip") -> list[Verdict]:
    """One verdict for each convolution and linear weight, in the order of the model's parameters.

    Args:
        observation: From :func:`wrs_mm.rescaling.observer.observe`, or
            :func:`wrs_mm.rescaling.observation.merge`.
        granularity: ``'filter'``, ``'group'`` or ``'layer'``.
        frozen_bn: ``'skip'`` or ``'fold'``: whether weights that feed a frozen BN are rescaled.
    """
    conflicts = _shared_channels(observation)
    return [
        _judge_weight(name, facts, observation.norms, conflicts, granularity, frozen_bn)
        for name, facts in observation.weights.items()
        if facts.computed_by is None
    ]


def computed_weights(observation: Observation) -> list[str]:
    """Names of modules that compute the weight of a convolution which feeds a norm layer."""
    return [
        facts.computed_by or name.rpartition(".")[0]
        for name, facts in observation.weights.items()
        if (facts.computed_by or facts.standardized) and facts.feeds
    ]


def why_unselected(verdicts: Sequence[Verdict]) -> str | None:
    """The first weight that is scale-invariant and yet not selected, and why; None if there is none."""
    unselected = (v for v in verdicts if v.scale_invariant and not v.selected)
    return next((f"{v.name} {v.reason}" for v in unselected), None)


def why_nothing(observation: Observation, granularity: str, key: str, fold: str, *more: str) -> str:
    """Why no weight at all is scale-invariant, and what to write in ``optim_wrapper`` where that helps.

    Args:
        observation: Of the model.
        granularity: What was judged: ``'filter'``, ``'group'`` or ``'layer'``.
        key: The key of ``optim_wrapper`` that has the options.
        fold: What the option ``frozen_bn='fold'`` does, in words.
        *more: What else to write beside it.
    """
    norms = observation.norms
    if any(facts.frozen for facts in norms.values()):
        options = ", ".join(["frozen_bn='fold'", *more])
        return (
            "every BN that a trained weight feeds is frozen: set norm_eval=False and train it, or "
            f"{fold} with {key}=dict({options})"
        )
    grouped = any(facts.grouped_norms for facts in observation.weights.values())
    if grouped and granularity == "filter":
        return (
            f"its norm layers normalize several channels together: write {key}=dict(granularity='group'), or "
            "see `wrs-mm audit CONFIG --granularity group`"
        )
    if norms or grouped:
        return "no weight feeds only norm layers: `wrs-mm audit CONFIG` says why for each"
    return "it has no batch normalization: add norm layers (norm_cfg=dict(type='BN')) or use weight decay"


def why_idle(observation: Observation, verdicts: Sequence[Verdict], granularity: str) -> str:
    """Why a method that acts on scale-invariant weights, and rescales none, has nothing to act on.

    Args:
        observation: Of the model.
        verdicts: On all of its weights, none of them selected.
        granularity: As in :func:`why_nothing`; one is proposed only where it is ``'filter'``.
    """
    why = why_unselected(verdicts)
    if why is not None:
        return f"{why}; `wrs-mm audit CONFIG` says why for each"
    hint = why_nothing(observation, granularity, "scale_invariance", "count it in")
    return f"no weight of this model is scale-invariant: {hint}"


def _shared_channels(observation: Observation) -> dict[str, str]:
    """Norm layers with statistics that cannot be folded for one weight alone, and why."""
    conflicts: dict[str, str] = {}
    feeds_of: dict[str, list[tuple[str, Feed]]] = {}
    for name, facts in observation.weights.items():
        for feed in facts.feeds:
            feeds_of.setdefault(feed.norm, []).append((name, feed))
    for norm, feeds in feeds_of.items():
        facts_of_norm = observation.norms[norm]
        if facts_of_norm.mean is None:
            continue
        for channel, other_input in enumerate(facts_of_norm.other_inputs):
            sources = {(n, f.filters[channel], f.bias) for n, f in feeds if f.filters[channel] >= 0}
            if len({name for name, _, _ in sources}) > 1:
                names = " and ".join(sorted({name for name, _, _ in sources}))
                conflicts[norm] = f"{names} share the statistics of {norm}, which cannot be folded for one"
                break
            if len(sources) > 1:
                conflicts[norm] = f"a channel of {norm} is fed by several filters, and cannot be folded"
                break
            if sources and other_input:
                conflicts[norm] = f"{norm} is also fed by what no filter scales, and cannot be folded"
                break
    return conflicts


def _judge_weight(
    name: str,
    facts: WeightFacts,
    norms: Mapping[str, NormFacts],
    conflicts: Mapping[str, str],
    granularity: str,
    frozen_bn: str,
) -> Verdict:
    """The verdict on one weight; see :func:`judge`."""
    layers = tuple(dict.fromkeys([feed.norm for feed in facts.feeds] + facts.grouped_norms))
    invariant, selected = False, False
    frozen = [layer for layer in layers if layer in norms and norms[layer].frozen]
    conflict = next((conflicts[layer] for layer in layers if layer in conflicts), None)
    count = number_of_filters(facts.shape, facts.transposed_groups)
    groups = None if granularity == "filter" else (0,) * count
    reasons = facts.reasons + (facts.filter_reasons if granularity == "filter" else [])
    if not facts.used:
        reason = "not used in this loss"
    elif reasons:
        reason = reasons[0]
    elif not layers:
        reason = "its output reaches no norm layer"
    else:
        invariant = not frozen
        if granularity == "group":
            groups = join(facts.tied, count)
        reason = f"feeds only {shorten(layers)}"
        if granularity == "group" and groups is not None:
            reason += f"; {_described(groups)}"
        if frozen:
            reason = f"feeds {shorten(frozen)}, frozen (normalizes with stored statistics)"
            if frozen_bn == "skip" and facts.trained and not facts.standardized:
                reason += "; frozen_bn='fold' would rescale it"
        if facts.standardized:
            # What BN's statistics follow is another factor than the weight's own.
            reason += "; not rescaled: its layer standardizes it, dividing each filter by its deviation"
        elif conflict:
            reason += f"; not rescaled: {conflict}"
        elif not facts.trained:
            reason += "; not rescaled: it is not trained (requires_grad=False)"
        selected = (invariant or frozen_bn == "fold") and not conflict and facts.trained
    return Verdict(
        name,
        facts.shape,
        invariant,
        selected and not facts.standardized,
        layers,
        reason,
        facts.transposed_groups,
        tuple(facts.feeds),
        facts.used,
        groups,
        selected and invariant and facts.standardized,
    )


def _described(groups: Groups) -> str:
    """Groups in words."""
    number = number_of_groups(groups)
    return f"its {len(groups)} filters are scaled " + ("as one" if number == 1 else f"in {number} groups")


def shorten(names: Sequence[str], most: int = 3) -> str:
    """A list of names that fits a table."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
