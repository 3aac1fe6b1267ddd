"""Many weights at a time: the rescale of one device and precision, fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wrs_mm.rescaling.functional import (
    filter_view,
    fold,
    largest_foldable_norm,
    number_of_filters,
    rescale_factors,
)
from wrs_mm.rescaling.verdicts import Verdict

if TYPE_CHECKING:
    from wrs_mm.rescaling.weight_rescaler import WeightRescaler

CACHED_NUMBERS = 1 << 19
"""How many numbers of weights are worked on at a time; 2 MB of float32 fit into most caches."""


class Bucket:
    """The rescaled weights of one device and precision, with the BN statistics that go with them.

    All per-filter numbers are one flat vector, *slots*: a rescale is then a few operations on it, beside one
    reduction and one multiplication per weight.
    """

    def __init__(
        self, rescaler: WeightRescaler, verdicts: list[Verdict], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.layer = rescaler.weights.granularity == "layer"
        parameters = rescaler._parameters
        self.weights = [(parameters[v.name], v.transposed_groups) for v in verdicts]
        self.slots = [1 if self.layer else number_of_filters(p, groups) for p, groups in self.weights]
        self.norms = torch.ones(sum(self.slots), dtype=dtype, device=device)
        self.factors = torch.ones(sum(self.slots) + 1, dtype=dtype, device=device)
        """One more than slots: channels that no rescaled filter feeds have factor 1."""
        if rescaler.target == "init":
            self.targets = torch.cat([rescaler.targets[v.name] for v in verdicts]).to(dtype)
        else:
            target = 1.0 if rescaler.target == "unit" else float(rescaler.target)
            self.targets = torch.full_like(self.norms, target)
        # A filter whose own target is 0 was zero when training began: dead, whatever its norm.
        self.smallest = (rescaler.min_norm * self.targets).masked_fill_(self.targets <= 0, torch.inf)
        self.largest = torch.full_like(self.factors, torch.finfo(dtype).max)
        self.chunks = self._make_chunks()
        self._index_norm_layers(rescaler, verdicts, device, dtype)

    def _index_norm_layers(
        self, rescaler: WeightRescaler, verdicts: list[Verdict], device: torch.device, dtype: torch.dtype
    ) -> None:
        """Index vectors: which slot and which bias belong to each channel of each BN with statistics."""
        observation = rescaler.weights.observation
        assert observation is not None  # nothing is selected before
        nothing = sum(self.slots)  # the slot of channels that no rescaled filter feeds: factor 1
        slot_of: dict[str, list[int]] = {}
        bias_of: dict[str, list[int]] = {}
        biases: dict[str, int] = {}  # name -> where it starts in the joined vector
        self.biases: list[Tensor] = []
        first_slot, first_bias = 0, 0
        for verdict, slots in zip(verdicts, self.slots, strict=True):
            for feed in verdict.feeds:
                if observation.norms[feed.norm].mean is None:
                    continue
                channels = slot_of.setdefault(feed.norm, [nothing] * len(feed.filters))
                shifts = bias_of.setdefault(feed.norm, [-1] * len(feed.filters))
                if feed.bias is not None and feed.bias not in biases:
                    biases[feed.bias] = first_bias
                    self.biases.append(rescaler._parameters[feed.bias])
                    first_bias += self.biases[-1].numel()
                for channel, filter_index in enumerate(feed.filters):
                    if filter_index >= 0:
                        channels[channel] = first_slot + (0 if self.layer else filter_index)
                        if feed.bias is not None:
                            shifts[channel] = biases[feed.bias] + filter_index
            first_slot += slots
        means = [holder_of(rescaler._modules, observation.norms[norm].mean) for norm in slot_of]
        variances = [holder_of(rescaler._modules, observation.norms[norm].var) for norm in slot_of]
        self.statistics = means + variances
        self.channels = [len(channels) for channels in slot_of.values()] * 2
        index = [slot for channels in slot_of.values() for slot in channels]
        shift = [i if i >= 0 else first_bias for shifts in bias_of.values() for i in shifts]
        eps = [observation.norms[norm].eps for norm, channels in slot_of.items() for _ in channels]
        self.index = torch.tensor(index, dtype=torch.int64, device=device)
        self.bias_index = torch.tensor(shift, dtype=torch.int64, device=device)
        self.eps = torch.tensor(eps, dtype=dtype, device=device)

    @property
    def skipped(self) -> dict[str, Tensor]:
        """Masks ``(slots,)`` of the filters that the last rescale left as they were, by reason."""
        finite = torch.isfinite(self.norms)
        dead = finite & (self.norms <= self.smallest)
        return {"dead": dead, "nonfinite": ~finite, "unfoldable": finite & (self.norms > self.largest[:-1])}

    def _make_chunks(self) -> list[Chunk]:
        """Weights in their order, as many in a chunk as CACHED_NUMBERS allows."""
        chunks: list[list[RescaledWeight]] = []
        numbers, start = CACHED_NUMBERS, 0
        for (weight, groups), count in zip(self.weights, self.slots, strict=True):
            numbers += weight.numel()
            if numbers > CACHED_NUMBERS:
                weights: list[RescaledWeight] = []
                chunks.append(weights)
                numbers = weight.numel()
            weights.append(RescaledWeight(self, weight, groups, slice(start, start + count)))
            start += count
        return [Chunk(self, weights) for weights in chunks]

    @torch.no_grad()
    def rescale(self) -> None:
        """Norms, factors, rescale, fold: the equations at the head of ``functional``."""
        if self.statistics:
            # Looked up in each rescale: loading a checkpoint or moving the model may replace a buffer.
            buffers = [buffers[name] for buffers, name in self.statistics]
            joined = torch.cat(buffers).to(self.norms.dtype)
            mean, var = joined.chunk(2)
            self._limit_norms(var)
        for chunk in self.chunks:
            # Norms and multiplication of a few weights at a time: they stay in the cache in between.
            for weight in chunk.weights:
                weight.measure()
            chunk.decide()
            for weight in chunk.weights:
                weight.multiply()
        if self.statistics:
            self._fold_(mean, var)
            torch._foreach_copy_(buffers, joined.split(self.channels))

    def _limit_norms(self, var: Tensor) -> None:
        """By slot, the norm above which a BN that the filter feeds could not be folded."""
        targets = torch.cat([self.targets, self.targets[:1]]).index_select(0, self.index)
        self.largest.fill_(torch.finfo(self.largest.dtype).max)
        self.largest.scatter_reduce_(0, self.index, largest_foldable_norm(var, self.eps, targets), "amin")

    def _fold_(self, mean: Tensor, var: Tensor) -> None:
        """Fold, in place, the joined statistics of every BN that the bucket's weights feed."""
        c = self.factors.index_select(0, self.index)
        bias: Tensor | float = 0.0
        if self.biases:
            nothing = torch.zeros(1, dtype=mean.dtype, device=mean.device)
            bias = torch.cat([*[b.to(mean.dtype) for b in self.biases], nothing])[self.bias_index]
        new_mean, new_var = fold(mean, var, self.eps, c, bias)
        # A factor of exactly 1 must leave its channel exactly as it is.
        same = c == 1
        torch.where(same, mean, new_mean, out=mean)
        torch.where(same, var, new_var, out=var)


class Chunk:
    """A few weights that follow each other, and their slots: views into the bucket's, made once."""

    def __init__(self, bucket: Bucket, weights: list[RescaledWeight]) -> None:
        self.weights = weights
        slots = slice(weights[0].slots.start, weights[-1].slots.stop)
        self.norms, self.targets = bucket.norms[slots], bucket.targets[slots]
        self.smallest, self.largest = bucket.smallest[slots], bucket.largest[slots]
        self.factors = bucket.factors[slots]

    def decide(self) -> None:
        """Write ``c_i``."""
        self.factors.copy_(rescale_factors(self.norms, self.targets, self.smallest, self.largest))


class RescaledWeight:
    """One weight with its norms and factors: views into its bucket's, in the shapes its filters ask for.

    The weight itself is looked at anew in each rescale: an EMA hook, for one, swaps its storage.
    """

    def __init__(self, bucket: Bucket, weight: Tensor, transposed_groups: int, slots: slice) -> None:
        self.weight = weight
        self.transposed_groups = transposed_groups
        self.slots = slots
        filters, self.inside = filter_view(weight.detach(), transposed_groups)
        if bucket.layer:
            self.inside = tuple(range(filters.dim()))
        outside = [size for d, size in enumerate(filters.shape) if d not in self.inside]
        beside = [1 if d in self.inside else size for d, size in enumerate(filters.shape)]
        self.norms = bucket.norms[slots].view(outside)
        self.factors = bucket.factors[slots].view(beside)

    def filters(self) -> Tensor:
        """The weight as :func:`filter_view` sees it."""
        return filter_view(self.weight, self.transposed_groups)[0] if self.transposed_groups else self.weight

    def measure(self) -> None:
        """Write ``‖w_i‖₂``."""
        torch.linalg.vector_norm(self.filters(), dim=self.inside, dtype=self.norms.dtype, out=self.norms)

    def multiply(self) -> None:
        """``w_i ← c_i w_i``."""
        self.filters().mul_(self.factors)


def holder_of(modules: dict[str, nn.Module], buffer: str | None) -> tuple[dict[str, Any], str]:
    """The buffers of the module that holds a buffer, and its name there (its tensor may be replaced)."""
    assert buffer is not None  # only norm layers with statistics are looked up
    prefix, _, name = buffer.rpartition(".")
    return modules[prefix]._buffers, name
