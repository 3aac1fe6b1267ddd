"""Many weights at a time: the rescale of one device and precision, fast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wrs_mm.rescaling.filter_groups import number_of_groups
from wrs_mm.rescaling.functional import (
    filter_view,
    fold,
    largest_foldable_norm,
    norm_dtype,
    number_of_filters,
    rescale_factors,
)
from wrs_mm.rescaling.observation import NormFacts
from wrs_mm.rescaling.sharding import shard_of, smallest_over, sum_over, whole
from wrs_mm.rescaling.spread_weight import SpreadWeight, is_spread
from wrs_mm.rescaling.verdicts import Verdict

CACHED_NUMBERS = 1 << 19
"""How many numbers of weights are worked on at a time on a CPU; 2 MB of float32 fit into most caches."""


class Bucket:
    """The rescaled weights of one device and precision, with the BN statistics that go with them.

    All numbers of filters stand in flat vectors of *slots*, weight after weight: one slot for each group of
    filters that is scaled as one, mostly a single one. A rescale is then a few operations on them, beside
    one reduction and one multiplication for each weight. Likewise the *channels* of all BNs with statistics
    that the weights feed stand one after another. Floating vectors are float32, or float64 for float64
    weights.

    Of weights that are split over processes each has all slots and all channels: what the processes tell each
    other is the norms, and the limits that the statistics of each set to them.

    Args:
        verdicts: On the weights.
        parameters: The model's, by name.
        modules: The model's, by name.
        norms: Facts about the model's norm layers, by name.
        targets: Of each weight the target norm: a number, or one for each slot.
        min_norm: A filter whose norm is at most this share of its target is dead.

    Attributes:
        names: The weights'.
        norms: ``(slots,)`` ``‖w_i‖₂`` before the last rescale.
        targets: ``(slots,)`` target norms.
        smallest: ``(slots,)`` a norm up to this is a dead filter's.
        largest: ``(slots + 1,)`` a norm above this is a filter's whose BN cannot be folded.
        factors: ``(slots + 1,)`` ``c_i`` of the last rescale, and 1 for channels that no slot feeds.
        left: ``(slots,)`` the norms that the last rescale left; before the first the targets.
    """

    def __init__(
        self,
        verdicts: Sequence[Verdict],
        parameters: Mapping[str, Tensor],
        modules: Mapping[str, nn.Module],
        norms: Mapping[str, NormFacts],
        targets: Sequence[Tensor | float],
        min_norm: float,
    ) -> None:
        self.names = [verdict.name for verdict in verdicts]
        self._weights = [(parameters[v.name], v.transposed_groups, v.groups) for v in verdicts]
        self._slots = [
            number_of_filters(v.shape, v.transposed_groups)
            if v.groups is None
            else number_of_groups(v.groups)
            for v in verdicts
        ]
        first = self._weights[0][0]
        shard = shard_of(first)
        self._processes = None if shard is None else shard.group
        kind: dict[str, Any] = {"dtype": norm_dtype(first.dtype), "device": first.device}
        self.targets = torch.cat(
            [torch.as_tensor(t, **kind).expand(n) for t, n in zip(targets, self._slots, strict=True)]
        )
        self._lengths = torch.tensor(self._slots, device=first.device)
        self.norms = torch.ones_like(self.targets)
        self.left = self.targets.clone()
        self.factors = torch.ones(len(self.targets) + 1, **kind)
        # A filter whose own target is 0 was zero when training began: dead, whatever its norm.
        self.smallest = (min_norm * self.targets).masked_fill_(self.targets <= 0, torch.inf)
        self.largest = torch.full_like(self.factors, torch.finfo(self.factors.dtype).max)
        self._start = (self.targets.clone(), self.smallest.clone())
        self._chunks = self._make_chunks()
        self._index_norm_layers(verdicts, parameters, modules, norms)

    def _index_norm_layers(
        self,
        verdicts: Sequence[Verdict],
        parameters: Mapping[str, Tensor],
        modules: Mapping[str, nn.Module],
        norms: Mapping[str, NormFacts],
    ) -> None:
        """Which slot and which bias belong to each channel of each BN with statistics.

        ``_index`` and ``_bias_index`` are int64 ``(channels,)``: places in ``factors``, and in ``_biases``
        (``(out,)`` each) one after another, where the place after the last says «no bias». ``_eps`` is
        ``(channels,)``. ``_statistics`` says where each running mean, then each running variance is kept,
        ``_channels`` how many numbers each has.
        """
        no_slot = len(self.targets)
        slot_of: dict[str, list[int]] = {}
        bias_of: dict[str, list[int]] = {}
        biases: dict[str, int] = {}  # name -> where it starts in the joined vector
        self._biases: list[Tensor] = []
        first_slot, first_bias = 0, 0
        for verdict, slots in zip(verdicts, self._slots, strict=True):
            for feed in verdict.feeds:
                if norms[feed.norm].mean is None:
                    continue
                channels = slot_of.setdefault(feed.norm, [no_slot] * len(feed.filters))
                shifts = bias_of.setdefault(feed.norm, [-1] * len(feed.filters))
                if feed.bias is not None and feed.bias not in biases:
                    biases[feed.bias] = first_bias
                    self._biases.append(parameters[feed.bias])
                    first_bias += self._biases[-1].numel()
                for channel, filter_index in enumerate(feed.filters):
                    if filter_index >= 0:
                        groups = verdict.groups
                        channels[channel] = first_slot + (groups[filter_index] if groups else filter_index)
                        if feed.bias is not None:
                            shifts[channel] = biases[feed.bias] + filter_index
            first_slot += slots
        means = [_holder_of(modules, norms[norm].mean) for norm in slot_of]
        variances = [_holder_of(modules, norms[norm].var) for norm in slot_of]
        self._statistics = means + variances
        self._channels = [len(channels) for channels in slot_of.values()] * 2
        index = [slot for channels in slot_of.values() for slot in channels]
        shift = [i if i >= 0 else first_bias for shifts in bias_of.values() for i in shifts]
        eps = [norms[norm].eps for norm, channels in slot_of.items() for _ in channels]
        device = self.targets.device
        self._index = torch.tensor(index, dtype=torch.int64, device=device)
        self._bias_index = torch.tensor(shift, dtype=torch.int64, device=device)
        self._eps = torch.tensor(eps, dtype=self.targets.dtype, device=device)

    @property
    def skipped(self) -> dict[str, Tensor]:
        """Masks ``(slots,)`` of the filters that the last rescale left as they were, by reason."""
        finite = torch.isfinite(self.norms)
        dead = finite & (self.norms <= self.smallest)
        return {"dead": dead, "nonfinite": ~finite, "unfoldable": finite & (self.norms > self.largest[:-1])}

    def _make_chunks(self) -> list[_Chunk]:
        """Weights in their order, as many in a chunk as CACHED_NUMBERS allows; elsewhere all in one."""
        chunks: list[list[_RescaledWeight | SpreadWeight]] = []
        # A GPU waits for kernels to be launched rather than for memory: the fewer, the better.
        most = (
            CACHED_NUMBERS if self.targets.device.type == "cpu" else sum(w.numel() for w, *_ in self._weights)
        )
        ends: list[int] = []  # where the slots of each chunk end
        numbers, end = most, 0
        for (weight, transposed_groups, groups), count in zip(self._weights, self._slots, strict=True):
            numbers += weight.numel()
            if numbers > most:
                weights: list[_RescaledWeight | SpreadWeight] = []
                chunks.append(weights)
                ends.append(end)
                numbers = weight.numel()
            norms, factors = self.norms[end : end + count], self.factors[end : end + count]
            if is_spread(weight, groups):
                weights.append(SpreadWeight(weight, transposed_groups, groups, norms, factors))
            else:
                weights.append(_RescaledWeight(weight, transposed_groups, groups is not None, norms, factors))
            end += count
            ends[-1] = end
        starts = [0, *ends[:-1]]
        return [
            _Chunk(self, weights, slice(*slots)) for weights, *slots in zip(chunks, starts, ends, strict=True)
        ]

    def left_by_weight(self) -> Iterator[tuple[str, Tensor]]:
        """Each weight's name, and a view of its part of ``left``."""
        return zip(self.names, self.left.split(self._slots), strict=True)

    def move_targets(self, factors: Tensor) -> None:
        """Set each target to a factor times what it was in the beginning.

        Args:
            factors: ``()`` of all weights, or ``(weights,)``; on any device.
        """
        factors = factors.to(self.targets.device)
        if factors.dim():
            factors = factors.repeat_interleave(self._lengths, output_size=len(self.targets))
        for values, start in zip((self.targets, self.smallest), self._start, strict=True):
            torch.mul(start, factors, out=values)

    @torch.no_grad()
    def measure(self) -> None:
        """Write all norms; a rescale of what is measured need not do it again."""
        for chunk in self._chunks:
            chunk.measure()
        if self._processes is not None:
            sum_over(self._processes, self.norms)
        for chunk in self._chunks:
            chunk.finish()

    def sums_of_squares(self) -> Tensor:
        """Of the norms that were measured, and of those that the last rescale left: ``(2,)`` float64.

        What this rescale or the last leaves alone (dead, non-finite, not to be folded) counts in neither.
        """
        return self._counted_squares().sum(1)

    def sums_of_squares_by_weight(self) -> Tensor:
        """As :meth:`sums_of_squares`, of each weight: ``(2, weights)``."""
        # Not index_add, whose order on a GPU is another each time: ranks would go apart.
        squares = self._counted_squares().t().contiguous()
        return torch.segment_reduce(squares, "sum", lengths=self._lengths, axis=0).t()

    def _counted_squares(self) -> Tensor:
        norms = torch.stack([self.norms, self.left])
        counted = ((norms > self.smallest) & (norms <= self.largest[:-1])).all(0)
        return torch.where(counted, norms, 0.0).double().square()

    @torch.no_grad()
    def rescale(self, measured: bool = False) -> None:
        """Norms, factors, rescale, fold: the equations at the head of ``functional``.

        Args:
            measured: :meth:`measure` was called since the weights changed.
        """
        if self._statistics:
            # Looked up in each rescale: loading a checkpoint or moving the model may replace a buffer.
            buffers = [buffers[name] for buffers, name in self._statistics]
            joined = torch.cat(buffers).to(self.norms.dtype)
            mean, var = joined.chunk(2)
            self._limit_norms(var)
        if self._processes is not None and not measured:
            self.measure()  # the others' norms are awaited once
            measured = True
        for chunk in self._chunks:
            # Norms and multiplication of a few weights at a time: they stay in the cache in between.
            if not measured:
                chunk.measure()
                chunk.finish()
            chunk.decide()
            for weight in chunk.weights:
                weight.multiply()
        torch.mul(self.norms, self.factors[:-1], out=self.left)
        if self._statistics:
            self._fold_(mean, var)
            torch._foreach_copy_(buffers, joined.split(self._channels))

    def _limit_norms(self, var: Tensor) -> None:
        """By slot, the norm above which a BN that the filter feeds could not be folded."""
        targets = torch.cat([self.targets, self.targets[:1]]).index_select(0, self._index)
        self.largest.fill_(torch.finfo(self.largest.dtype).max)
        self.largest.scatter_reduce_(0, self._index, largest_foldable_norm(var, self._eps, targets), "amin")
        if self._processes is not None:
            smallest_over(self._processes, self.largest)

    def _fold_(self, mean: Tensor, var: Tensor) -> None:
        """Fold, in place, the joined statistics of every BN that the bucket's weights feed."""
        c = self.factors.index_select(0, self._index)
        bias: Tensor | float = 0.0
        if self._biases:
            nothing = torch.zeros(1, dtype=mean.dtype, device=mean.device)
            bias = torch.cat([*[whole(b).to(mean.dtype) for b in self._biases], nothing])[self._bias_index]
        new_mean, new_var = fold(mean, var, self._eps, c, bias)
        # A factor of exactly 1 must leave its channel exactly as it is.
        same = c == 1
        torch.where(same, mean, new_mean, out=mean)
        torch.where(same, var, new_var, out=var)


class _Chunk:
    """A few weights that follow each other in a bucket.

    Attributes:
        weights: The weights.
        norms: ``(n,)`` a view of the bucket's, of the ``n`` slots of these weights; so are the others.
        targets: ``(n,)``.
        smallest: ``(n,)``.
        largest: ``(n,)``.
        factors: ``(n,)``.
    """

    def __init__(
        self, bucket: Bucket, weights: Sequence[_RescaledWeight | SpreadWeight], slots: slice
    ) -> None:
        self.weights = weights
        self._spread = [weight for weight in weights if isinstance(weight, SpreadWeight)]
        self.norms, self.targets = bucket.norms[slots], bucket.targets[slots]
        self.smallest, self.largest = bucket.smallest[slots], bucket.largest[slots]
        self.factors = bucket.factors[slots]

    def measure(self) -> None:
        """Write ``‖w_i‖₂``, or the sums of squares of spread weights."""
        for weight in self.weights:
            weight.measure()

    def finish(self) -> None:
        """Make norms of the sums of squares."""
        for weight in self._spread:
            weight.finish()

    def decide(self) -> None:
        """Write ``c_i``."""
        self.factors.copy_(rescale_factors(self.norms, self.targets, self.smallest, self.largest))


class _RescaledWeight:
    """One weight with its norms and factors.

    The weight itself is looked at anew in each rescale: an EMA hook, for one, swaps its storage.

    Attributes:
        weight: Of any floating dtype, in any memory format; for its shape see :func:`filter_view`.
        transposed_groups: The number of groups of a transposed convolution; 0 for all others.
        norms: A view of the bucket's: ``(out,)``, ``(G, out/G)`` of a transposed convolution, or ``()`` of
            the whole weight.
        factors: A view of the bucket's, broadcastable to the weight's filters: ``(out, 1, …)``,
            ``(G, 1, out/G, 1, …)``, or ``(1, 1, …)``.
    """

    def __init__(
        self, weight: Tensor, transposed_groups: int, as_one: bool, norms: Tensor, factors: Tensor
    ) -> None:
        self.weight = weight
        self.transposed_groups = transposed_groups
        filters, self.inside = filter_view(weight.detach(), transposed_groups)
        if as_one:
            self.inside = tuple(range(filters.dim()))
        outside = [size for d, size in enumerate(filters.shape) if d not in self.inside]
        beside = [1 if d in self.inside else size for d, size in enumerate(filters.shape)]
        self.norms = norms.view(outside)
        self.factors = factors.view(beside)

    def filters(self) -> Tensor:
        """The weight as :func:`filter_view` sees it."""
        return filter_view(self.weight, self.transposed_groups)[0] if self.transposed_groups else self.weight

    def measure(self) -> None:
        """Write ``‖w_i‖₂``."""
        torch.linalg.vector_norm(self.filters(), dim=self.inside, dtype=self.norms.dtype, out=self.norms)

    def multiply(self) -> None:
        """``w_i ← c_i w_i``."""
        self.filters().mul_(self.factors)


def _holder_of(modules: Mapping[str, nn.Module], buffer: str | None) -> tuple[dict[str, Any], str]:
    """The buffers of the module that holds a buffer, and its name there (its tensor may be replaced)."""
    assert buffer is not None  # only norm layers with statistics are looked up
    prefix, _, name = buffer.rpartition(".")
    return modules[prefix]._buffers, name
