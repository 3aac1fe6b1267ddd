"""Weight rescaling: after the optimizer's step, put each scale-invariant filter back to its target norm.

Liu et al., «Weight Rescaling: Effective and Robust Regularization for Deep Neural Networks with Batch
Normalization», arXiv 2102.03497. That norms go to 1 is the paper's; that it is each filter's, after every
update, with weight decay left on all other parameters, is our reading of it. The fold into BN is ours.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling.functional import (
    filter_norms,
    filter_view,
    fold,
    largest_foldable_norm,
    rescale_factors,
    wide,
)
from wrs_mm.rescaling.invariant_weights import FROZEN_BN, GRANULARITIES, ScaleInvariantWeights, check_choice
from wrs_mm.rescaling.observer import Verdict, computed_weights, shorten
from wrs_mm.rescaling.optimizer import add_partner_groups, move_to_partner_groups

LEFT_ALONE = ("dead", "nonfinite", "unfoldable")
#: How many numbers of weights are worked on at a time; 2 MB of float32 fit into most caches.
CACHED_NUMBERS = 1 << 19


class WeightRescaler:
    """Weight rescaling for a model and its optimizer, in any training loop.

    Make it after the optimizer and before the learning rate scheduler, and let it observe the first
    forward; from then on each ``optimizer.step()`` is followed by a rescale.

    Args:
        model: the model that trains.
        optimizer: its optimizer; any of torch's interface.
        granularity: ``'filter'`` takes each filter's norm (the paper's weight vector), ``'layer'`` the whole
            weight's.
        target: ``'unit'``, norm 1; ``'init'``, the norm that it had when training began; or a number > 0.
        interval: rescale after every that many updates.
        frozen_bn: ``'skip'`` leaves weights alone whose BN is frozen (normalizes with stored statistics);
            ``'fold'`` rescales them and folds, which keeps the network's function.
        min_norm: a filter whose norm is at most this share of its target is dead, and left alone.
        decay_mult: factor on the weight decay of the rescaled weights; 1 leaves the groups as they are.

    Raises:
        OptionError: an option's value is out of its range.
        ModelError: the model is sharded.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-4)
        >>> rescaler = WeightRescaler(model, optimizer)
        >>> with rescaler.observing():
        ...     loss = model(torch.randn(2, 3, 8, 8)).square().mean()
        >>> loss.backward()
        >>> optimizer.step()
        >>> bool(torch.allclose(model[0].weight.flatten(1).norm(dim=1), torch.ones(4)))
        True
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        granularity: str = "filter",
        target: str | float = "unit",
        interval: int = 1,
        frozen_bn: str = "skip",
        min_norm: float = 1e-8,
        decay_mult: float = 0.0,
    ) -> None:
        check_rescaler_options(granularity, target, interval, frozen_bn, min_norm)
        self.weights = ScaleInvariantWeights(model, granularity, frozen_bn)
        self.optimizer = optimizer
        self.target = target
        self.interval = interval
        self.min_norm = min_norm
        self.updates = 0
        self.targets: dict[str, Tensor] = {}
        self._buckets: list[Bucket] = []
        self._active: tuple[str, ...] | None = None
        add_partner_groups(optimizer, decay_mult)
        self._undo = after_step(optimizer, self._after_update)

    @property
    def rescaled(self) -> list[Verdict]:
        """The weights that are rescaled; empty before the first observed forward."""
        return self.weights.selected

    @property
    def left_alone(self) -> dict[str, int]:
        """How many filters the last rescale left as they were: dead, non-finite, or not to be folded."""
        masks = [bucket.left_alone for bucket in self._buckets]
        return {key: sum(int(mask[key].sum()) for mask in masks) for key in LEFT_ALONE}

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Find the scale-invariant weights in the first training forward; see ScaleInvariantWeights.

        Raises:
            ModelError: nothing can be rescaled, or a convolution's weight is computed (``weight_norm``,
                weight standardization).
        """
        if self.weights.found:
            yield
            return
        with self.weights.observing():
            yield
        refuse_unusable(self.weights)
        self._take_over()

    def _take_over(self) -> None:
        """Once the weights are known: remember their norms, switch their weight decay."""
        parameters = dict(self.weights.model.named_parameters())
        chosen = {verdict.name: parameters[verdict.name] for verdict in self.rescaled}
        if self.target == "init" and not self.targets:
            self.targets = {
                v.name: filter_norms(chosen[v.name], v.transposed_groups, self.weights.granularity)
                for v in self.rescaled
            }
        move_to_partner_groups(self.optimizer, chosen.values())

    def _after_update(self) -> None:
        if not self.weights.found:
            return
        self.updates += 1
        if self.updates % self.interval == 0:
            self.rescale()

    def rescale(self) -> None:
        """``w_i ← c_i w_i`` and the fold, for all scale-invariant weights that still train."""
        active = tuple(v.name for v in self.rescaled if self._is_active(v))
        if active != self._active:
            self._active = active
            self._buckets = self._make_buckets([v for v in self.rescaled if v.name in active])
        for bucket in self._buckets:
            bucket.rescale()

    def _is_active(self, verdict: Verdict) -> bool:
        """Not if the weight, or with ``frozen_bn='skip'`` a BN after it, was frozen in mid-training."""
        if not self._parameters[verdict.name].requires_grad:
            return False
        if self.weights.frozen_bn == "fold":
            return True
        return all(self._modules[norm].training for norm in verdict.norm_layers if norm in self._modules)

    @functools.cached_property
    def _modules(self) -> dict[str, nn.Module]:
        return dict(self.weights.model.named_modules())

    @functools.cached_property
    def _parameters(self) -> dict[str, Tensor]:
        return dict(self.weights.model.named_parameters())

    def _make_buckets(self, verdicts: list[Verdict]) -> list[Bucket]:
        """One bucket for each device and precision."""
        kinds: dict[tuple, list[Verdict]] = {}
        for verdict in verdicts:
            parameter = self._parameters[verdict.name]
            kinds.setdefault((parameter.device, wide(parameter.dtype)), []).append(verdict)
        return [Bucket(self, group, *kind) for kind, group in kinds.items()]

    def detach(self) -> None:
        """Give the optimizer its own ``step`` back."""
        self._undo()

    # -- state ----------------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """The options that a resumed run must share."""
        return {
            "granularity": self.weights.granularity,
            "target": self.target,
            "interval": self.interval,
            "frozen_bn": self.weights.frozen_bn,
        }

    def state_dict(self) -> dict[str, Any]:
        """Options, number of updates, what was found and the targets; tensors and plain Python only."""
        return {
            "options": self.options(),
            "updates": self.updates,
            "found": self.weights.state_dict(),
            "targets": self.targets,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the state was taken. Load it before the optimizer's own state.

        Raises:
            OptionError: the run was trained with other options.
            ModelError: the state is of another model.
        """
        for key, value in self.options().items():
            saved = state["options"].get(key)
            if saved != value:
                raise OptionError(
                    f"the checkpoint was trained with wrs {key}={saved!r}, this run has {value!r}: "
                    "resume with the same option, or begin a new run with load_from"
                )
        self.updates = state["updates"]
        devices = {name: p.device for name, p in self.weights.model.named_parameters()}
        self.targets = {name: t.to(devices.get(name, t.device)) for name, t in state["targets"].items()}
        self.weights.load_state_dict(state["found"])
        if self.weights.found:
            self._take_over()


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
        #: One more than slots: channels that no rescaled filter feeds have factor 1.
        self.factors = torch.ones(sum(self.slots) + 1, dtype=dtype, device=device)
        if rescaler.target == "init":
            self.targets = torch.cat([rescaler.targets[v.name] for v in verdicts]).to(dtype)
        else:
            target = 1.0 if rescaler.target == "unit" else float(rescaler.target)
            self.targets = torch.full_like(self.norms, target)
        # A filter whose own target is 0 was zero when training began: dead, whatever its norm.
        self.smallest = (rescaler.min_norm * self.targets).masked_fill_(self.targets <= 0, torch.inf)
        self.largest = torch.full_like(self.factors, torch.finfo(dtype).max)
        self.chunks = self._make_chunks()
        self._link_norm_layers(rescaler, verdicts, device, dtype)

    def _link_norm_layers(
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
            for link in verdict.links:
                if observation.norms[link.norm].mean is None:
                    continue
                channels = slot_of.setdefault(link.norm, [nothing] * len(link.filters))
                shifts = bias_of.setdefault(link.norm, [-1] * len(link.filters))
                if link.bias is not None and link.bias not in biases:
                    biases[link.bias] = first_bias
                    self.biases.append(rescaler._parameters[link.bias])
                    first_bias += self.biases[-1].numel()
                for channel, filter_index in enumerate(link.filters):
                    if filter_index >= 0:
                        channels[channel] = first_slot + (0 if self.layer else filter_index)
                        if link.bias is not None:
                            shifts[channel] = biases[link.bias] + filter_index
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
    def left_alone(self) -> dict[str, Tensor]:
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


def number_of_filters(weight: Tensor, transposed_groups: int) -> int:
    """The number of output channels of a weight."""
    return weight.size(1) * transposed_groups if transposed_groups else weight.size(0)


def holder_of(modules: dict[str, nn.Module], buffer: str | None) -> tuple[dict[str, Any], str]:
    """The buffers of the module that holds a buffer, and its name there (its tensor may be replaced)."""
    assert buffer is not None  # only norm layers with statistics are linked
    prefix, _, name = buffer.rpartition(".")
    return modules[prefix]._buffers, name


def after_step(optimizer: Optimizer, then: Callable[[], None]) -> Callable[[], None]:
    """Call a function after each real update of an optimizer.

    The instance's ``step`` is wrapped, not hooked: hooks fire twice for an optimizer whose ``step`` calls its
    parent's, and not at all after a step that raised. A fused optimizer under GradScaler skips inside its own
    step and says so in ``found_inf``.

    Returns:
        A function that undoes it.
    """
    step = optimizer.step

    @functools.wraps(step)
    def step_and_then(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        found_inf = getattr(self, "found_inf", None)
        if found_inf is None or not bool(found_inf):
            then()
        return result

    # A bound method, because learning rate schedulers wrap ``step`` too and ask for its ``__func__``.
    bound = types.MethodType(step_and_then, optimizer)
    optimizer.step = bound

    def undo() -> None:
        if optimizer.__dict__.get("step") is bound:
            optimizer.step = step

    return undo


def refuse_unusable(weights: ScaleInvariantWeights) -> None:
    """Raise ModelError where WRS has nothing to do, or would do it to a weight that is computed."""
    assert weights.observation is not None
    computed = computed_weights(weights.observation)
    if computed:
        raise ModelError(
            f"the weight of {shorten(computed)} is computed (weight_norm, weight standardization or another "
            "parametrization): remove that before using weight rescaling"
        )
    if weights.selected:
        return
    norms = weights.observation.norms
    if any(facts.frozen for facts in norms.values()):
        hint = (
            "every BN that a trained weight feeds is frozen: set norm_eval=False and train it, or rescale "
            "and fold with wrs=dict(frozen_bn='fold', target='init')"
        )
    elif norms:
        hint = "no weight feeds only norm layers: `wrs-mm audit CONFIG` says why for each"
    else:
        hint = "it has no batch normalization: add norm layers (norm_cfg=dict(type='BN')) or use weight decay"
    raise ModelError(f"nothing in this model is scale-invariant: {hint}")


def check_rescaler_options(
    granularity: object = "filter",
    target: object = "unit",
    interval: object = 1,
    frozen_bn: object = "skip",
    min_norm: object = 1e-8,
) -> None:
    """Check the options of :class:`WeightRescaler` without a model.

    Raises:
        OptionError: a value is out of its range.
    """
    check_choice("granularity", granularity, GRANULARITIES)
    check_choice("frozen_bn", frozen_bn, FROZEN_BN)
    if not (target in ("unit", "init") or (is_number(target) and target > 0)):  # type: ignore[operator]
        raise OptionError(f"target must be 'unit', 'init' or a number > 0, not {target!r}")
    if not isinstance(interval, int) or isinstance(interval, bool) or interval < 1:
        raise OptionError(f"interval must be a whole number ≥ 1, not {interval!r}")
    if not (is_number(min_norm) and 0 <= min_norm < 1):  # type: ignore[operator]
        raise OptionError(f"min_norm must be a number in [0, 1), not {min_norm!r}")


def is_number(value: object) -> bool:
    """Whether it is a real, finite number (and no bool)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
