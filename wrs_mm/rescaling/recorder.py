"""What becomes of each filter in one forward: labels begin at its weight, and end as facts.

A convolution or linear layer puts its filters' labels on its output. From there they are handed on, from one
operation to the next, until a norm layer takes them in, which the weight then *feeds*, or something else
does, which is a *reason* why the weight is not scale-invariant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from wrs_mm.rescaling.labels import (
    Flow,
    channel_labels,
    filter_of,
    output_labels,
    weight_labels,
    weight_of,
    weights_in,
)
from wrs_mm.rescaling.models import weights_of
from wrs_mm.rescaling.observation import Feed, NormFacts, Observation, WeightFacts, add_once


class Recorder:
    """Keeps the flow of each tensor of a forward, and records where flows end.

    Args:
        model: Its named parameters and buffers are those that the observation names.

    Attributes:
        observation: The facts recorded so far.
    """

    def __init__(self, model: nn.Module) -> None:
        self.observation = Observation()
        self._flows = WeakTensorKeyDictionary()
        self._parameters = {id(p): name for name, p in model.named_parameters()}
        self._buffers = {id(b): name for name, b in model.named_buffers()}
        self._facts: list[WeightFacts] = []  # by number of the weight, as labels have it
        self._computed: dict[tuple, Flow] = {}  # of weights that are computed
        for name, parameter, groups in weights_of(model):
            self._flows[parameter] = self._register(name, parameter, groups)

    def is_parameter(self, tensor: Tensor) -> bool:
        """Whether the tensor is a parameter of the model."""
        return id(tensor) in self._parameters

    def is_buffer(self, tensor: Tensor) -> bool:
        """Whether the tensor is a buffer of the model."""
        return id(tensor) in self._buffers

    def flow_of(self, tensor: Any) -> Flow | None:
        """Where the values of a tensor come from; None where no filter scales them."""
        flow: Flow | None = self._flows.get(tensor) if isinstance(tensor, Tensor) else None
        return flow

    def label(self, tensor: Tensor, flow: Flow) -> None:
        """Take note of where the values of a tensor come from."""
        if bool(flow.labels.any()):
            self._flows[tensor] = flow

    # -- labels begin -----------------------------------------------------------------------------------

    def convolve(
        self,
        result: Tensor,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        module: str,
        transposed_groups: int = 0,
    ) -> None:
        """A convolution or linear layer in a module: its output is labeled with its weight's filters."""
        spatial = max(0, weight.dim() - 2)
        kind = "convolution" if spatial else "linear layer"
        self.rule_out(x, f"the {kind} {module}")
        flow = self.flow_of(weight)
        if flow is None:
            name = self._parameters.get(id(weight))  # of somebody's own layer
            if weight.dim() < 2 or (name is None and isinstance(weight, nn.Parameter)):
                # A weighted sum, which has no filters; a parameter of another model, such as a teacher that
                # this one holds out of sight.
                self.rule_out(weight, f"the {kind} {module}")
                return
            if name is not None:
                flow = self._register(name, weight, transposed_groups)
            else:
                flow = self._register_computed(module, weight, transposed_groups)
            self._flows[weight] = flow
        for number in weights_in(flow.labels):
            self._facts[number].used = True
        channels = output_labels(flow.labels, weight.shape, transposed_groups)
        if channels is None:
            self.rule_out(weight, f"a {kind} that mixes its filters")
            return
        biases: dict[int, str] = {}
        if bias is not None:
            name = self._parameters.get(id(bias))
            if name is None:
                self.rule_out(weight, f"a {kind} whose bias is computed")
                return
            biases = dict.fromkeys(weights_in(channels), name)
        before = result.dim() - 1 - spatial
        self.label(result, Flow(channels.view(*[1] * before, -1, *[1] * spatial), biases, flow.linear))

    def _register(self, name: str, weight: Tensor, transposed_groups: int) -> Flow:
        facts = WeightFacts(tuple(weight.shape), transposed_groups, weight.requires_grad)
        self.observation.weights[name] = facts
        self._facts.append(facts)
        labels = weight_labels(len(self._facts) - 1, facts.shape, transposed_groups)
        return Flow(labels.to(weight.device))

    def _register_computed(self, module: str, weight: Tensor, transposed_groups: int) -> Flow:
        """A weight that is no parameter; each time a module computes it anew, it counts as the same."""
        key = (module, tuple(weight.shape), transposed_groups)
        if key not in self._computed:
            name = f"{module} (computed weight)"
            if name in self.observation.weights:
                name = f"{name} {tuple(weight.shape)}"
            self._computed[key] = self._register(name, weight, transposed_groups)
            self._facts[-1].computed_by = module
        return self._computed[key]

    # -- labels end in a norm layer ---------------------------------------------------------------------

    def normalize(
        self, x: Tensor, mean: Tensor | None, var: Tensor | None, eps: float, frozen: bool, module: str
    ) -> None:
        """A norm layer that normalizes each channel (dimension 1) on its own.

        Args:
            x: Its input, ``(N, C, …)``.
            mean: ``(C,)`` its running mean; None where it keeps no statistics.
            var: ``(C,)`` its running variance.
            eps: Its ε.
            frozen: Whether it normalizes with them.
            module: Names it where its statistics do not.
        """
        mean_name, var_name = self._buffers.get(id(mean)), self._buffers.get(id(var))
        norm = mean_name.rpartition(".")[0] if mean_name else module
        unseen = NormFacts(mean_name, var_name, eps, False, [False] * x.size(1))
        flow = self.flow_of(x)
        if flow is None and mean is not None and mean_name is None:
            return  # another model's
        if len(self.observation.norms.get(norm, unseen).other_inputs) != x.size(1):
            norm = f"{norm} of {x.size(1)} channels"  # another model's too: it has the name of its class
        labels = channel_labels(flow.labels, x.size(1)) if flow is not None else None
        if labels is None:
            self.rule_out(x, f"{norm}, with several filters in one channel,")
        facts = self.observation.norms.setdefault(norm, unseen)
        facts.frozen |= frozen
        by_channel = zip(facts.other_inputs, labels or [0] * x.size(1), strict=True)
        facts.other_inputs = [old or not label for old, label in by_channel]
        if flow is None or labels is None:
            return
        for number in weights_in(flow.labels):
            weight = self._facts[number]
            filters = tuple(filter_of(label, number) for label in labels)
            add_once(weight.feeds, Feed(norm, flow.biases.get(number), filters))
            weight.standardized |= not flow.linear
            if mean is not None and (mean_name is None or var_name is None):
                weight.reasons.append(f"the statistics of {norm} are no buffers of the model")

    def normalize_jointly(self, x: Tensor, slices: Sequence[Sequence[int]], norm: str, module: str) -> None:
        """A norm layer that normalizes several channels together; see :mod:`~.filter_groups`.

        Args:
            x: Its input.
            slices: The labels of each slice that it normalizes on its own.
            norm: Describes it.
            module: Its name.
        """
        flow = self.flow_of(x)
        if flow is None:
            return
        for labels in slices:
            numbers = sorted({number for number in map(weight_of, labels) if number is not None})
            obstacle = None
            if len(numbers) > 1:
                obstacle = "together with another weight's filters"
            elif 0 in labels:
                obstacle = "together with values that no filter scales"
            elif len(labels) > 1 and numbers[0] in flow.biases:
                obstacle = (
                    "with a bias, which is not scaled along and which no mean of several channels removes"
                )
            elif len(labels) > 1 and not flow.linear:
                obstacle = "together with others, and its layer standardizes it: their factors would differ"
            for number in numbers:
                facts = self._facts[number]
                add_once(facts.grouped_norms, module)
                facts.standardized |= not flow.linear
                if obstacle is not None:
                    add_once(facts.reasons, f"it feeds {norm} ({module}) {obstacle}")
                elif len(labels) > 1:
                    by_group = "invariant as a group (granularity='group'), not as a filter"
                    add_once(facts.filter_reasons, f"it feeds {norm} ({module}): {by_group}")
                    add_once(facts.tied, tuple(filter_of(label, number) for label in labels))

    # -- labels end in anything else --------------------------------------------------------------------

    def rule_out(self, tensor: Any, target: str) -> None:
        """A tensor goes into something that the scale of its filters matters to, described as ``target``."""
        flow = self.flow_of(tensor)
        if flow is None:
            return
        subject = "it goes" if self.is_parameter(tensor) else "its output goes"
        for number in weights_in(flow.labels):
            facts = self._facts[number]
            facts.used = True
            carried = ", bias and all," if number in flow.biases else ""
            add_once(facts.reasons, f"{subject}{carried} into {target} before any norm layer")
        if not self.is_parameter(tensor):
            del self._flows[tensor]
