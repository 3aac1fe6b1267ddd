"""Which weights are scale-invariant in this loss, and why the others are not.

A weight is scale-invariant if every use of it in the loss goes only into norm layers that normalize each of
its output channels with the batch's own statistics (Liu et al., arXiv 2102.03497: «the network is invariant
to the scale of such a weight vector»). That is decided by watching one forward, not by module types: each
filter gets a number, and a ``TorchFunctionMode`` follows those numbers (*labels*) from the convolution
through every operation until a norm layer takes them in, or something else does, which is an *objection*.

Three steps, each a plain value for the next:

1. :func:`observe` runs beside a forward and collects an :class:`Observation`;
2. :func:`merge` joins the observations of several processes;
3. :func:`judge` turns an observation into one :class:`Verdict` a weight.
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from wrs_mm.rescaling import rules as ops
from wrs_mm.rescaling.labels import (
    Flow,
    argument,
    compress,
    function_name,
    has_padding,
    map_tensors,
    one_for_zero,
    stand_in_shape,
    tensors_in,
    varying,
)
from wrs_mm.rescaling.models import DEFORMABLE, has_class_name, unwrap, weights_of
from wrs_mm.rescaling.observation import Feed, NormFacts, Observation, WeightFacts, add_once

CONVOLUTIONS = {F.conv1d: 1, F.conv2d: 2, F.conv3d: 3, F.linear: 0}
TRANSPOSED = {F.conv_transpose1d: 1, F.conv_transpose2d: 2, F.conv_transpose3d: 3}
SYNCHRONIZED = {"SyncBatchNorm"}
"""Synchronized norms too go through autograd.Function (torch's own, and mmcv's)."""

CHECKPOINTING = {"CheckpointFunction"}
"""Only runs a part of the model, which the mode sees."""


class Observer(TorchFunctionMode):
    """Follows the filters of a model's weights through one forward.

    Args:
        model: Its named parameters and buffers are those that the observation names.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.observation = Observation()
        self._flows = WeakTensorKeyDictionary()
        self._parameters = {id(p): name for name, p in model.named_parameters()}
        self._buffers = {id(b): name for name, b in model.named_buffers()}
        self._modules = {id(m): name for name, m in model.named_modules()}
        self._names: list[str] = []  # weight index -> name
        self._starts: list[int] = []  # weight index -> label of its first filter
        self._next_label = 1
        self._stack: list[str] = []  # names of the modules whose forward is running
        self._opaque = 0  # how many synchronized norms' forwards are running
        self._deformable = 0  # the same of deformable convolutions
        for name, param, groups in weights_of(model):
            self._register(name, param, groups)

    # -- entering the model ---------------------------------------------------------------------------

    def before_module(self, module: nn.Module, args: tuple) -> None:
        """Forward pre-hook of every module."""
        self._stack.append(self._modules.get(id(module), type(module).__name__))
        if has_class_name(module, SYNCHRONIZED):
            if not self._opaque:
                training = module.training or module.running_mean is None
                self._normalize(
                    args[0],
                    module.running_mean,
                    module.running_var,
                    module.eps,
                    frozen=not training,
                )
            self._opaque += 1
        self._deformable += has_class_name(module, DEFORMABLE)

    def after_module(self, module: nn.Module, args: tuple, output: Any) -> None:
        """Forward hook of every module."""
        self._stack.pop()
        if has_class_name(module, SYNCHRONIZED):
            self._opaque -= 1
        elif has_class_name(module, DEFORMABLE):
            self._deformable -= 1
            if isinstance(output, Tensor):
                self._after_deformable(module, args, output)

    def _after_deformable(self, module: nn.Module, args: tuple, output: Tensor) -> None:
        if self._flows.get(output) is None:
            self._convolve(output, args[0], module.weight, getattr(module, "bias", None), 2)

    def before_function(self, function: type, args: tuple) -> None:
        """Before every ``autograd.Function``: what it does with its arguments, nobody sees."""
        if self._opaque or function.__name__ in CHECKPOINTING:
            return
        for tensor in tensors_in(args):
            if not (self._deformable and id(tensor) in self._parameters):
                self._rule_out(tensor, f"`{function.__name__}`")

    # -- one operation --------------------------------------------------------------------------------

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self._opaque:
            self._see(func, args, kwargs, result)
        return result

    def _see(self, func: Callable, args: tuple, kwargs: dict, result: Any) -> None:
        if func in CONVOLUTIONS or func in TRANSPOSED:
            x, weight, bias = (
                argument(args, kwargs, i, n) for i, n in enumerate(("input", "weight", "bias"))
            )
            groups = argument(args, kwargs, 6, "groups", 1) if func in TRANSPOSED else 0
            spatial = TRANSPOSED[func] if func in TRANSPOSED else CONVOLUTIONS[func]
            self._convolve(result, x, weight, bias, spatial, groups)
            return
        name = function_name(func)
        if name.startswith("deform_conv2d") and len(args) > 4:
            # torchvision's operator: input, weight, offset, mask, bias, …; its bias is zeros for none.
            for other in (args[2], args[3]):
                self._rule_out(other, "the offsets of a deformable convolution")
            self._convolve(result, args[0], args[1], None, 2)
            return
        if func is F.batch_norm or func is F.instance_norm:
            # Both: input, running_mean, running_var, weight, bias, training | use_input_stats, momentum, eps
            x, mean, var = (
                argument(args, kwargs, i, n) for i, n in enumerate(("input", "running_mean", "running_var"))
            )
            batch = func is F.batch_norm
            own = argument(args, kwargs, 5, "training" if batch else "use_input_stats", not batch)
            self._normalize(x, mean, var, argument(args, kwargs, 7, "eps", 1e-5), frozen=not own)
            return
        flowing = [t for t in tensors_in((args, kwargs)) if self._flows.get(t) is not None]
        if not flowing or name in ops.NEUTRAL:
            return
        if func is F.group_norm:
            self._normalize_group(args[0], argument(args, kwargs, 1, "num_groups"))
        elif func is F.layer_norm:
            self._normalize_layer(args[0], argument(args, kwargs, 1, "normalized_shape"))
        elif not self._passes(name, func, args, kwargs, result, flowing):
            for tensor in flowing:
                self._rule_out(tensor, f"`{name}`")

    def _passes(
        self,
        name: str,
        func: Callable,
        args: tuple,
        kwargs: dict,
        result: Any,
        flowing: list[Tensor],
    ) -> bool:
        """Whether the operation keeps each filter's values apart and homogeneous; if so, label its result."""
        flow = self._flows[flowing[0]]
        if name in ops.MOVE or name in ops.JOIN:
            return self._move(name in ops.JOIN, func, args, kwargs, result, flowing)
        if name == "copy_" and len(flowing) == 1 and flowing[0] is args[1]:
            # All of the destination is overwritten.
            return args[0].shape == args[1].shape and self._label(result, flow)
        if len(flowing) > 1:
            same = all(torch.equal(self._flows[t].labels, flow.labels) for t in flowing)
            shifted = any(self._flows[t].biases for t in flowing)
            return name in ops.SUM and same and not shifted and self._label(result, flow)
        if flowing[0] is not argument(args, kwargs, 0, "input") and name not in ops.PRODUCT:
            return False
        if name in ops.IDENTITY:
            return self._label(result, flow)
        if name in ops.SPATIAL_SHIFT_FREE or name == "interpolate":
            spatial = ops.SPATIAL_SHIFT_FREE.get(name, flowing[0].dim() - 2)
            return self._pool(result, flow, spatial)
        if name in ("avg_pool1d", "avg_pool2d", "avg_pool3d") and not has_padding(args, kwargs):
            return self._pool(result, flow, ops.SPATIAL[name])
        if name == "dropout" and not argument(args, kwargs, 2, "training", True):
            return self._label(result, flow)
        if name in ops.REDUCTION:
            return self._reduce(result, flow, flowing[0], args, kwargs, shifted_ok=name != "sum")
        # What follows lets no bias pass: f(c·u + b) is not c·f(u) + b.
        if flow.biases:
            return False
        if name in ops.HOMOGENEOUS or name in ops.PRODUCT or name in ops.QUOTIENT:
            return self._label(result, flow)
        if name == "clamp" or name == "clamp_":
            low, high = argument(args, kwargs, 1, "min"), argument(args, kwargs, 2, "max")
            return low in (0, None) and high in (0, None) and self._label(result, flow)
        if name == "pad":
            return self._pad(result, flow, args, kwargs)
        if name in ops.SPATIAL:
            return self._pool(result, flow, ops.SPATIAL[name])
        return False

    def _label(self, result: Any, flow: Flow) -> bool:
        for tensor in tensors_in(result):
            if bool(flow.labels.any()):
                self._flows[tensor] = flow
        return True

    def _move(
        self,
        join: bool,
        func: Callable,
        args: tuple,
        kwargs: dict,
        result: Any,
        flowing: list[Tensor],
    ) -> bool:
        """Run the operation on labels: they show where each filter's values went."""
        biases = self._join_biases([self._flows[t] for t in flowing])
        if biases is None:
            return False
        empty = any(t.numel() == 0 for t in flowing)

        def to_labels(tensor: Tensor) -> Tensor:
            flow = self._flows.get(tensor)
            shape = stand_in_shape(tensor.shape)
            if flow is not None:
                return flow.labels.expand(shape)
            return torch.zeros((), dtype=torch.int64, device=tensor.device).expand(shape) if join else tensor

        label_args, label_kwargs = map_tensors(args, to_labels), map_tensors(kwargs, to_labels)
        if empty and function_name(func) in ("view", "reshape", "expand"):
            label_args = tuple(one_for_zero(a) for a in label_args)
        try:
            with torch.no_grad():
                labels = func(*label_args, **label_kwargs)
        except (RuntimeError, IndexError, TypeError):
            return False  # an empty batch whose shape does not determine the move
        moved = list(zip(tensors_in(result), tensors_in(labels), strict=True))
        if any(stand_in_shape(t.shape) != tuple(new.shape) for t, new in moved):
            return False
        for tensor, new in moved:
            self._label(tensor, Flow(compress(new), biases))
        return True

    def _pool(self, result: Any, flow: Flow, spatial: int) -> bool:
        constant = all(size == 1 for size in flow.labels.shape[flow.labels.dim() - spatial :])
        first = next(tensors_in(result))
        return constant and self._label(first, flow)

    def _pad(self, result: Tensor, flow: Flow, args: tuple, kwargs: dict) -> bool:
        pad = argument(args, kwargs, 1, "pad")
        mode = argument(args, kwargs, 2, "mode", "constant")
        value = argument(args, kwargs, 3, "value")
        zeros = mode != "constant" or value in (None, 0)
        return zeros and self._pool(result, flow, len(pad) // 2)

    def _reduce(
        self, result: Any, flow: Flow, x: Tensor, args: tuple, kwargs: dict, shifted_ok: bool
    ) -> bool:
        dims = argument(args, kwargs, 1, "dim")
        if dims is None or (flow.biases and not shifted_ok):
            return False
        keep = argument(args, kwargs, 2, "keepdim", False)
        dims = [d % x.dim() for d in ([dims] if isinstance(dims, int) else dims)]
        labels = flow.labels.expand([1] * (x.dim() - flow.labels.dim()) + list(flow.labels.shape))
        if any(labels.size(d) > 1 for d in dims):
            return False
        if not keep:
            labels = labels.squeeze(dims)
        return self._label(result, Flow(labels, flow.biases))

    # -- weights --------------------------------------------------------------------------------------

    def _register(self, name: str, param: Tensor, transposed_groups: int = 0) -> Flow:
        facts = WeightFacts(tuple(param.shape), transposed_groups, param.requires_grad)
        self.observation.weights[name] = facts
        labels = torch.arange(facts.num_filters, device=param.device) + self._next_label
        if transposed_groups:
            labels = labels.view(transposed_groups, 1, -1)
            labels = labels.expand(-1, param.size(0) // transposed_groups, -1).flatten(0, 1)
        labels = labels.view(*labels.shape, *[1] * (param.dim() - labels.dim()))
        self._names.append(name)
        self._starts.append(self._next_label)
        self._next_label += facts.num_filters
        self._flows[param] = flow = Flow(labels, {})
        return flow

    def _convolve(
        self,
        result: Tensor,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        spatial: int,
        transposed_groups: int = 0,
    ) -> None:
        """A convolution or linear layer: its output is labelled with its weight's filters."""
        kind = "convolution" if spatial else "linear layer"
        self._rule_out(x, f"the {kind} {self._where()}")
        flow = self._flows.get(weight)
        if flow is None:
            flow = self._adopt(weight, transposed_groups)
        self._mark_used(flow)
        channels = self._output_labels(flow.labels, weight, transposed_groups)
        if channels is None:
            self._rule_out(weight, f"a {kind} that mixes its filters")
            return
        biases: dict[int, str] = {}
        if bias is not None:
            name = self._parameters.get(id(bias))
            if name is None:
                self._rule_out(weight, f"a {kind} whose bias is computed")
                return
            biases = dict.fromkeys(self._weights_in(channels), name)
        dim = result.dim() - 1 - spatial
        shape = [1] * result.dim()
        shape[dim] = -1
        self._label(result, Flow(channels.view(shape), biases))

    def _adopt(self, weight: Tensor, transposed_groups: int) -> Flow:
        """A weight that is no parameter of a known layer: someone's own, or one that is computed."""
        name = self._parameters.get(id(weight))
        if name is None:
            name = f"{self._stack[-1] if self._stack else ''} (computed weight)"
            known = self.observation.weights.get(name)
            if known is not None:
                index = self._names.index(name)
                if known.shape == tuple(weight.shape):
                    labels = torch.arange(known.num_filters, device=weight.device) + self._starts[index]
                    return Flow(labels.view(-1, *[1] * (weight.dim() - 1)), {})
                name = f"{name} {tuple(weight.shape)}"
        return self._register(name, weight, transposed_groups)

    @staticmethod
    def _output_labels(labels: Tensor, weight: Tensor, transposed_groups: int) -> Tensor | None:
        """``(out,)`` labels of the output channels; None where a channel mixes filters."""
        if transposed_groups:
            if any(size != 1 for size in labels.shape[2:]):
                return None
            labels = labels.flatten(1).expand(weight.size(0), weight.size(1))
            labels = labels.view(transposed_groups, -1, weight.size(1))
            if not bool((labels == labels[:, :1]).all()):
                return None
            return labels[:, 0].reshape(-1)
        if any(size != 1 for size in labels.shape[1:]):
            return None
        return labels.flatten().expand(weight.size(0))

    def _mark_used(self, flow: Flow) -> None:
        for index in self._weights_in(flow.labels):
            self.observation.weights[self._names[index]].used = True

    def _weights_in(self, labels: Tensor) -> list[int]:
        """Indices of the weights whose filters are among the labels."""
        found = {bisect.bisect(self._starts, label) - 1 for label in labels.unique().tolist() if label}
        return sorted(found)

    def _join_biases(self, flows: Sequence[Flow]) -> dict[int, str] | None:
        """The biases of several flows together; None where a weight has one in one flow, not in another."""
        joined: dict[int, str | None] = {}
        for flow in flows:
            for index in self._weights_in(flow.labels):
                bias = flow.biases.get(index)
                if joined.setdefault(index, bias) != bias:
                    return None
        return {index: bias for index, bias in joined.items() if bias is not None}

    def _where(self) -> str:
        return (self._stack[-1] if self._stack else "") or "the model"

    def _rule_out(self, tensor: Tensor | None, what: str) -> None:
        flow = self._flows.get(tensor) if isinstance(tensor, Tensor) else None
        if flow is None:
            return
        subject = "it goes" if id(tensor) in self._parameters else "its output goes"
        place = f" in {self._where()}" if what.startswith("`") else ""
        for index in self._weights_in(flow.labels):
            facts = self.observation.weights[self._names[index]]
            facts.used = True
            carried = ", bias and all," if index in flow.biases else ""
            add_once(facts.reasons, f"{subject}{carried} into {what}{place} before any norm layer")
        if id(tensor) not in self._parameters:
            del self._flows[tensor]

    # -- norm layers ----------------------------------------------------------------------------------

    def _normalize(
        self, x: Tensor, mean: Tensor | None, var: Tensor | None, eps: float, frozen: bool
    ) -> None:
        """A norm layer that normalizes each channel (dimension 1) on its own."""
        flow = self._flows.get(x)
        labels = flow.labels if flow is not None else None
        mean_name = self._buffers.get(id(mean)) if mean is not None else None
        var_name = self._buffers.get(id(var)) if var is not None else None
        name = mean_name.rpartition(".")[0] if mean_name else self._where()
        channels = x.size(1)
        if labels is not None and any(d != 1 for d in varying(labels)):
            self._rule_out(x, f"{name}, with several filters in one channel,")
            labels = None
        numbers = [0] * channels if labels is None else labels.flatten().expand(channels).tolist()
        facts = self.observation.norms.setdefault(
            name, NormFacts(mean_name, var_name, eps, False, [False] * channels)
        )
        facts.frozen |= frozen
        facts.other_inputs = [old or not n for old, n in zip(facts.other_inputs, numbers, strict=True)]
        if labels is None or flow is None:
            return
        for index in self._weights_in(labels):
            start, weight = self._starts[index], self.observation.weights[self._names[index]]
            count = weight.num_filters
            filters = tuple(n - start if start <= n < start + count else -1 for n in numbers)
            add_once(weight.feeds, Feed(name, flow.biases.get(index), filters))
            if mean is not None and (mean_name is None or var_name is None):
                weight.reasons.append(f"the statistics of {name} are no buffers of the model")

    def _normalize_group(self, x: Tensor, groups: int) -> None:
        """GroupNorm: invariant to what scales a whole group."""
        flow = self._flows[x]
        if x.size(1) == groups:
            self._normalize(x, None, None, 0.0, frozen=False)
            return
        self._normalize_jointly(x, flow, f"GroupNorm with {x.size(1) // groups} channels a group")

    def _normalize_layer(self, x: Tensor, normalized_shape: Sequence[int]) -> None:
        flow = self._flows[x]
        first = x.dim() - len(normalized_shape)
        if all(d >= first for d in varying(flow.labels)):
            self._normalize_jointly(x, flow, "LayerNorm over its channels")
        else:
            self._rule_out(x, "`layer_norm`")

    def _normalize_jointly(self, x: Tensor, flow: Flow, what: str) -> None:
        weights = self._weights_in(flow.labels)
        alone = len(weights) == 1 and bool(flow.labels.all())
        if not alone or flow.biases:
            self._rule_out(x, what)
            return
        facts = self.observation.weights[self._names[weights[0]]]
        text = f"it feeds {what} ({self._where()}): invariant as a group, not as a filter"
        add_once(facts.filter_reasons, text)
        add_once(facts.grouped_norms, self._where())


@contextmanager
def observe(model: nn.Module) -> Iterator[Observation]:
    """Watch one forward, up to the loss, and collect what it shows of the model's weights.

    Args:
        model: In the state in which it trains. A wrapper such as DDP is looked through.

    Yields:
        The observation; complete when the context ends.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> with observe(model) as observation:
        ...     loss = model(torch.randn(2, 3, 8, 8)).square().mean()
        >>> [v.scale_invariant for v in judge(observation)]
        [True]
    """
    model = unwrap(model)
    observer = Observer(model)
    with ExitStack() as stack:
        for module in model.modules():
            before = module.register_forward_pre_hook(observer.before_module)
            after = module.register_forward_hook(observer.after_module, always_call=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        if "torch._dynamo" in sys.modules:
            # Compiled code hides its operations.
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(functions_announced(observer.before_function))
        stack.enter_context(observer)
        yield observer.observation


@contextmanager
def functions_announced(announce: Callable[[type, tuple], None]) -> Iterator[None]:
    """Call ``announce`` with class and arguments of each ``autograd.Function`` that is applied.

    A TorchFunctionMode does not see them, and neither do module hooks.
    """
    apply = Function.__dict__["apply"]

    def announced(cls: type, *args: Any, **kwargs: Any) -> Any:
        announce(cls, args)
        return apply.__get__(None, cls)(*args, **kwargs)

    Function.apply = classmethod(announced)
    try:
        yield
    finally:
        Function.apply = apply
