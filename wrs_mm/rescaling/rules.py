"""Rules: what each PyTorch operation does to labels.

A convolution's output is ``y_c = w_c * x (+ b_c)`` on channel ``c``. An operation may stand between it and
a norm layer if it works on each channel alone and is positively homogeneous, ``f(a·y) = a·f(y)`` for
``a > 0``; where the convolution has a bias, which WRS does not rescale, it must also commute with adding a
constant. ``RULES`` names what is known to do so, by the name of what a ``TorchFunctionMode`` sees. Any
operation without a rule rules the filters behind its inputs out.

A layer that standardizes its weight divides each filter by its own deviation plus ε. What comes out is no
longer linear in the filter's scale; still, that can only multiply it by a positive number, which a norm layer
takes away (``Flow.linear``).

A rule is a pure function of one :class:`Operation`. Its answer is one flow for each tensor of the result, in
their order (the rest of the result carries no labels), or None: the filters are ruled out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wrs_mm.rescaling.labels import Flow, compress, join_biases, map_tensors, stand_in_shape, varying
from wrs_mm.values import is_whole_number


@dataclass(frozen=True)
class Operation:
    """One operation of a forward, and where the values that it reads come from.

    Attributes:
        function: What a TorchFunctionMode sees: a function, or a method or attribute of tensors.
        args: Its arguments by position.
        kwargs: Its arguments by name.
        inputs: Those of its arguments that carry labels, with their flows, in their order.
        shapes: The shapes of the tensors in its result, in their order.
        buffers: Those of its arguments that are buffers of the model.
    """

    function: Callable
    args: tuple
    kwargs: Mapping[str, Any]
    inputs: Sequence[tuple[Tensor, Flow]]
    shapes: Sequence[tuple[int, ...]]
    buffers: Sequence[Tensor] = ()

    @property
    def name(self) -> str:
        """The function's name; of an attribute of a tensor, the attribute's."""
        name = str(getattr(self.function, "__name__", self.function))
        if name in ("__get__", "__set__"):
            attribute = getattr(getattr(self.function, "__self__", None), "__name__", "")
            return attribute if name == "__get__" else f"set {attribute}"
        return name

    @property
    def flows(self) -> list[Flow]:
        """The flows of the inputs, in their order."""
        return [flow for _, flow in self.inputs]

    def argument(self, index: int, name: str, default: Any = None) -> Any:
        """An argument that may be given by position or by name."""
        return self.args[index] if len(self.args) > index else self.kwargs.get(name, default)

    def flow_of(self, tensor: Tensor) -> Flow | None:
        """The flow of one of the arguments; None where it carries no labels."""
        return next((flow for other, flow in self.inputs if other is tensor), None)


Rule = Callable[[Operation], Sequence[Flow] | None]
"""From an operation to the flow of each tensor of its result; None rules the filters out."""

_FlowRule = Callable[[Operation, Flow], Flow | None]
"""The rule of an operation on one tensor: from the flow of that to the flow of its (first) result."""


def _of_first(rule: _FlowRule, *, bias: bool) -> Rule:
    """The rule of an operation whose only input with labels is its first argument.

    Args:
        rule: What becomes of that input's flow.
        bias: Whether values that carry a bias may pass: ``f(y + b) = f(y) + b``.
    """

    def answer(operation: Operation) -> Sequence[Flow] | None:
        if len(operation.inputs) != 1 or operation.inputs[0][0] is not operation.argument(0, "input"):
            return None
        return _answer(rule, operation, bias)

    return answer


def _of_either(rule: _FlowRule, *, bias: bool) -> Rule:
    """The same where any of the arguments may be the one with labels."""

    def answer(operation: Operation) -> Sequence[Flow] | None:
        return _answer(rule, operation, bias) if len(operation.inputs) == 1 else None

    return answer


def _answer(rule: _FlowRule, operation: Operation, bias: bool) -> Sequence[Flow] | None:
    flow = operation.flows[0]
    if flow.biases and not bias:
        return None
    result = rule(operation, flow)
    return None if result is None else [replace(result, linear=flow.linear, divisor=False)]


# -- operations on one tensor ---------------------------------------------------------------------------


def _keep(operation: Operation, flow: Flow) -> Flow:
    """Each value stays in its place, or is broadcast to further dimensions before it."""
    labels = flow.labels
    added = len(operation.shapes[0]) - labels.dim()
    return Flow(labels.view(*[1] * added, *labels.shape), flow.biases) if added > 0 else flow


def _pool(dimensions: int) -> _FlowRule:
    """Pooling or resampling over the last dimensions, along which one filter scales all values."""

    def rule(operation: Operation, flow: Flow) -> Flow | None:
        first = flow.labels.dim() - dimensions
        return flow if all(d < first for d in varying(flow.labels)) else None

    return rule


def _average_pool(dimensions: int) -> _FlowRule:
    """``avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)``.

    A bias passes where every mean is over as many values as it is divided by.
    """

    def rule(operation: Operation, flow: Flow) -> Flow | None:
        padding = operation.argument(3, "padding", 0)
        padded = any(padding) if isinstance(padding, (tuple, list)) else bool(padding)
        shifted = padded or operation.argument(6, "divisor_override") is not None
        return None if flow.biases and shifted else _pool(dimensions)(operation, flow)

    return rule


def _resample(operation: Operation, flow: Flow) -> Flow | None:
    """Pooling or resampling over all dimensions after the channels."""
    return _pool(operation.inputs[0][0].dim() - 2)(operation, flow)


def _pad(operation: Operation, flow: Flow) -> Flow | None:
    """``pad(input, pad, mode, value)``: with zeros, or with what is there."""
    constant = operation.argument(2, "mode", "constant") == "constant"
    if constant and operation.argument(3, "value") not in (None, 0):
        return None
    return _pool(len(operation.argument(1, "pad")) // 2)(operation, flow)


def _dropout(operation: Operation, flow: Flow) -> Flow | None:
    """``dropout(input, p, training)``; a bias passes where nothing is dropped."""
    return None if flow.biases and operation.argument(2, "training", True) else flow


def _clamp(operation: Operation, flow: Flow) -> Flow | None:
    """``clamp(input, min, max)`` at 0."""
    limits = operation.argument(1, "min"), operation.argument(2, "max")
    at_zero = all(limit is None or bool((torch.as_tensor(limit) == 0).all()) for limit in limits)
    return flow if at_zero else None


def _reduce(operation: Operation, flow: Flow) -> Flow | None:
    """``mean(input, dim, keepdim)`` and the like over dimensions along which one filter scales all values."""
    dims = operation.argument(1, "dim")
    dims = [dims] if is_whole_number(dims) else dims
    if not dims or isinstance(dims, bool):  # all of them
        return None
    dims = [d % max(1, operation.inputs[0][0].dim()) for d in dims]
    if any(d in dims for d in varying(flow.labels)):
        return None
    if operation.argument(2, "keepdim", False):
        return flow
    return Flow(flow.labels.squeeze(dims), flow.biases)


def _deviation(operation: Operation) -> Sequence[Flow] | None:
    """``std(input, dim, keepdim=)`` or ``var`` of all that a filter scales: one number for each filter."""
    if len(operation.inputs) != 1 or len(operation.args) > 2:  # in its older form, the third is another
        return None
    flow = _reduce(operation, operation.flows[0])
    if flow is None or flow.labels.unique().numel() != math.prod(operation.shapes[0]):
        return None
    return [Flow(flow.labels, linear=False, divisor=True)]


def _root(operation: Operation) -> Sequence[Flow] | None:
    """``sqrt(input)``."""
    return operation.flows if operation.flows[0].divisor else None


# -- operations on several tensors ----------------------------------------------------------------------


def _nothing(operation: Operation) -> Sequence[Flow]:
    """No value of the input goes into the result."""
    return []


def _move(operation: Operation) -> Sequence[Flow] | None:
    """Values change place. Run on labels, the operation itself says where each went."""
    return _run_on_labels(operation, lambda tensor: tensor)  # what has no labels is an index


def _join(operation: Operation) -> Sequence[Flow] | None:
    """Several tensors become one; what has no labels joins as «scaled by no filter»."""
    if not all(flow.linear for flow in operation.flows):
        return None  # two of them may have two factors of one filter
    return _run_on_labels(
        operation,
        lambda t: torch.zeros((), dtype=torch.int64, device=t.device).expand(stand_in_shape(t.shape)),
    )


def _run_on_labels(operation: Operation, unlabeled: Callable[[Tensor], Tensor]) -> Sequence[Flow] | None:
    biases = join_biases(operation.flows)
    if biases is None:
        return None

    def to_labels(tensor: Tensor) -> Tensor:
        flow = operation.flow_of(tensor)
        return unlabeled(tensor) if flow is None else flow.labels.expand(stand_in_shape(tensor.shape))

    args, kwargs = map_tensors(operation.args, to_labels), map_tensors(operation.kwargs, to_labels)
    empty = any(tensor.numel() == 0 for tensor, _ in operation.inputs)
    if empty and operation.name in ("view", "reshape", "expand"):
        args = tuple(_one_for_zero(value) for value in args)
    try:
        with torch.no_grad():
            results = operation.function(*args, **kwargs)
    except (RuntimeError, IndexError, TypeError):
        return None  # an empty batch whose shape does not determine the move
    labels = [results] if isinstance(results, Tensor) else list(results)
    if [tuple(new.shape) for new in labels] != [stand_in_shape(shape) for shape in operation.shapes]:
        return None
    linear, divisor = (all(getattr(f, key) for f in operation.flows) for key in ("linear", "divisor"))
    return [Flow(compress(new), biases, linear, divisor) for new in labels]


def _one_for_zero(value: Any) -> Any:
    """The sizes of a view of an empty tensor, for its stand-in with one element."""
    if isinstance(value, (tuple, list)):
        return tuple(_one_for_zero(item) for item in value)
    return 1 if is_whole_number(value) and value == 0 else value


def _copy(operation: Operation) -> Sequence[Flow] | None:
    """``copy_(self, source)``: all of the destination is overwritten."""
    destination, source = operation.args[:2]
    alone = len(operation.inputs) == 1 and operation.inputs[0][0] is source
    return operation.flows if alone and destination.shape == source.shape else None


def _add(operation: Operation) -> Sequence[Flow] | None:
    """Sums of values that the same filter scales; a divisor and its ε."""
    first, *others = operation.flows
    if not others:
        return _add_constant(operation, first)
    same = all(torch.equal(flow.labels, first.labels) for flow in others)
    plain = all(flow.linear and not flow.biases for flow in operation.flows)
    return [first] if same and plain else None


def _add_constant(operation: Operation, flow: Flow) -> Sequence[Flow] | None:
    """A divisor stays one with a positive number; a buffer of zeros adds nothing to a standardized weight.

    Such a buffer is the β of mmcv's ConvAWS2d, which only some checkpoints set. To what has not been divided
    no buffer may be added: a running mean is zeros too when a training begins.
    """
    others = [value for value in operation.args if value is not operation.inputs[0][0]]
    if operation.kwargs or len(others) != 1 or flow.linear or not operation.name.strip("_").endswith("add"):
        return None
    (other,) = others
    if isinstance(other, Tensor):
        zeros = any(other is buffer for buffer in operation.buffers) and not bool(other.any())
        return [replace(flow, divisor=False)] if zeros else None
    return [flow] if flow.divisor and other >= 0 else None


def _divide(operation: Operation) -> Sequence[Flow] | None:
    """By what no filter scales, or the values of each filter by its own divisor."""
    if len(operation.inputs) == 1:
        return _of_first(_keep, bias=False)(operation)
    (_, flow), (below, divisor) = operation.inputs
    if not divisor.divisor or below is not operation.argument(1, "other") or flow.biases:
        return None
    same = torch.equal(*torch.broadcast_tensors(flow.labels, divisor.labels))
    return [replace(flow, linear=False, divisor=False)] if same else None


# -- the table ------------------------------------------------------------------------------------------


def _each(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: Mapping[str, Rule] = {
    # Ask about a tensor without reading its values, or make a new one that only has its shape.
    **_each(
        """
        shape size dim ndim numel nelement stride storage_offset is_contiguous dtype device layout type
        requires_grad requires_grad_ is_leaf grad grad_fn _backward_hooks retain_grad register_hook
        retains_grad is_cuda is_cpu is_mps is_xpu is_npu is_meta is_sparse is_quantized is_nested is_complex
        is_floating_point is_signed is_inference is_same_size is_conj is_neg get_device element_size itemsize
        nbytes data_ptr untyped_storage storage _version _base output_nr names has_names name __hash__ __len__
        __id__ zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty
        new_full new_tensor new result_type _is_view is_tensor can_cast size_hint __class__ __dict__
        __delattr__
        """,
        _nothing,
    ),
    # Leave values as they are.
    **_each(
        """
        contiguous clone detach detach_ data to type_as float double half bfloat16 cuda cpu alias positive
        pin_memory
        """,
        _of_first(_keep, bias=True),
    ),
    "copy_": _copy,
    # Change their places.
    **_each(
        """
        view reshape flatten unflatten permute transpose swapaxes swapdims movedim moveaxis t T mT squeeze
        unsqueeze expand expand_as view_as reshape_as broadcast_to repeat repeat_interleave tile chunk split
        split_with_sizes tensor_split unsafe_chunk unsafe_split unbind narrow select index_select __getitem__
        roll flip pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle
        """,
        _move,
    ),
    **_each("cat concat concatenate stack hstack vstack dstack", _join),
    # Scale them, value by value: positively homogeneous.
    **_each(
        """
        relu relu_ leaky_relu leaky_relu_ prelu neg neg_ negative abs abs_ absolute
        dropout_ dropout1d dropout2d dropout3d feature_dropout
        """,
        _of_first(_keep, bias=False),
    ),
    **_each("div div_ divide divide_ true_divide true_divide_ __itruediv__", _divide),
    **_each("mul mul_ multiply multiply_ imul __imul__", _of_either(_keep, bias=False)),
    "dropout": _of_first(_dropout, bias=True),
    **_each("clamp clamp_", _of_first(_clamp, bias=False)),
    **_each("add add_ __iadd__ sub sub_ __isub__ subtract", _add),
    # Combine neighbors within a channel.
    **_each(
        """
        max_pool1d max_pool1d_with_indices adaptive_max_pool1d adaptive_max_pool1d_with_indices
        adaptive_avg_pool1d
        """,
        _of_first(_pool(1), bias=True),
    ),
    **_each(
        """
        max_pool2d max_pool2d_with_indices adaptive_max_pool2d adaptive_max_pool2d_with_indices
        adaptive_avg_pool2d
        """,
        _of_first(_pool(2), bias=True),
    ),
    **_each(
        """
        max_pool3d max_pool3d_with_indices adaptive_max_pool3d adaptive_max_pool3d_with_indices
        adaptive_avg_pool3d
        """,
        _of_first(_pool(3), bias=True),
    ),
    "avg_pool1d": _of_first(_average_pool(1), bias=True),
    "avg_pool2d": _of_first(_average_pool(2), bias=True),
    "avg_pool3d": _of_first(_average_pool(3), bias=True),
    "interpolate": _of_first(_resample, bias=True),
    "grid_sample": _of_first(_resample, bias=False),
    "pad": _of_first(_pad, bias=False),
    **_each("mean amax amin", _of_first(_reduce, bias=True)),
    "sum": _of_first(_reduce, bias=False),
    # Measure each filter.
    **_each("std var", _deviation),
    "sqrt": _root,
}
"""The rules by the names of operations, as :attr:`Operation.name` gives them."""
