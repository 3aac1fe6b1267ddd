"""Labels: which filter scales each value of a tensor.

Every filter of a model gets a number, its label. While a forward is observed, a tensor whose values a filter
scales carries a :class:`Flow`: for each value the filter's label, and which biases went along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from wrs_mm.rescaling.functional import number_of_filters

_MOST_FILTERS = 1 << 32
"""A label is ``(weight + 1) · _MOST_FILTERS + filter``, so that it says itself what it labels."""


@dataclass(frozen=True)
class Flow:
    """Where the values of a tensor come from.

    Attributes:
        labels: Int64, broadcastable to the tensor's shape (with each size 0 counted as 1): the label of the
            filter that scales the value, 0 for none.
        biases: Name of the bias that the values carry, by number of the weight.
        linear: The values are multiplied by what the filter is multiplied by. If not, all that a filter
            scales in this tensor are multiplied by one positive number, which may be any.
        divisor: They are positive, and one number for each filter, such as its standard deviation.
    """

    labels: Tensor
    biases: Mapping[int, str] = field(default_factory=dict)
    linear: bool = True
    divisor: bool = False


def weight_labels(weight: int, shape: Sequence[int], transposed_groups: int = 0) -> Tensor:
    """The labels of a weight itself.

    Args:
        weight: The weight's number.
        shape: Its shape.
        transposed_groups: See :func:`wrs_mm.rescaling.functional.filter_view`.

    Returns:
        Int64, ``(out, 1, …)``; for a transposed convolution ``(in, out/G, 1, …)``.
    """
    labels = torch.arange(number_of_filters(shape, transposed_groups)) + (weight + 1) * _MOST_FILTERS
    if transposed_groups:
        labels = labels.view(transposed_groups, 1, -1)
        labels = labels.expand(-1, shape[0] // transposed_groups, -1).flatten(0, 1)
    return labels.view(*labels.shape, *[1] * (len(shape) - labels.dim()))


def weights_in(labels: Tensor) -> list[int]:
    """The numbers of the weights whose filters are among the labels."""
    return [number - 1 for number in (labels // _MOST_FILTERS).unique().tolist() if number]


def weight_of(label: int) -> int | None:
    """The number of the weight whose filter has a label; None for the label of no filter."""
    return label // _MOST_FILTERS - 1 if label else None


def filter_of(label: int, weight: int) -> int:
    """The filter that has a label, or -1 where that is none of this weight's."""
    number, index = divmod(label, _MOST_FILTERS)
    return index if number == weight + 1 else -1


def output_labels(labels: Tensor, weight_shape: Sequence[int], transposed_groups: int = 0) -> Tensor | None:
    """What a convolution or linear layer makes of its weight's labels.

    Args:
        labels: Of the weight, which may have been computed from parameters.
        weight_shape: The weight's shape.
        transposed_groups: See :func:`wrs_mm.rescaling.functional.filter_view`.

    Returns:
        ``(out,)`` the labels of the output channels; None where a channel mixes filters.
    """
    if transposed_groups:
        if any(size != 1 for size in labels.shape[2:]):
            return None
        labels = labels.flatten(1).expand(weight_shape[0], weight_shape[1])
        labels = labels.view(transposed_groups, -1, weight_shape[1])
        if not bool((labels == labels[:, :1]).all()):
            return None
        return labels[:, 0].reshape(-1)
    if any(size != 1 for size in labels.shape[1:]):
        return None
    return labels.flatten().expand(weight_shape[0])


def channel_labels(labels: Tensor, channels: int) -> list[int] | None:
    """One label for each channel (dimension 1) of a tensor; None where a channel mixes filters."""
    if any(d != 1 for d in varying(labels)):
        return None
    return list(labels.flatten().expand(channels).tolist())


def labels_by_slice(labels: Tensor, inside: int) -> list[list[int]]:
    """The labels that a norm layer takes together.

    Args:
        labels: (Compressed) labels of its input; the dimensions that it normalizes over are the last ones.
        inside: How many these are.

    Returns:
        The different labels of each slice, in order; of slices that hold the same only one.
    """
    outside = max(0, labels.dim() - inside)
    rows = labels.reshape(labels.shape[:outside].numel(), -1)
    found = {tuple(row.unique().tolist()) for row in rows}
    return [list(row) for row in sorted(found)]


def join_biases(flows: Sequence[Flow]) -> dict[int, str] | None:
    """The biases of several flows together; None where a weight has one in one flow, not in another."""
    joined: dict[int, str | None] = {}
    for flow in flows:
        for weight in weights_in(flow.labels):
            bias = flow.biases.get(weight)
            if joined.setdefault(weight, bias) != bias:
                return None
    return {weight: bias for weight, bias in joined.items() if bias is not None}


def stand_in_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """A tensor's shape with each size 0 taken as 1, so that an empty batch shows its channels too."""
    return tuple(max(1, size) for size in shape)


def compress(labels: Tensor) -> Tensor:
    """Narrow to size 1 each dimension along which the labels are constant."""
    for d in range(labels.dim()):
        if labels.size(d) > 1:
            first = labels.narrow(d, 0, 1)
            if labels.stride(d) == 0 or bool((labels == first).all()):
                labels = first
    return labels


def varying(labels: Tensor) -> list[int]:
    """The dimensions along which (compressed) labels differ."""
    return [d for d, size in enumerate(labels.shape) if size > 1]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested arguments or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def map_tensors(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """Nested arguments or results with each tensor replaced."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)([map_tensors(item, function) for item in value])
    if isinstance(value, dict):
        return {key: map_tensors(item, function) for key, item in value.items()}
    return value
