"""Where the values of a tensor come from: for each value, the filter that scales it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Flow:
    """Where the values of a tensor come from.

    Attributes:
        labels: Int64, broadcastable to the tensor's shape (with each size 0 counted as 1): the number of the
            filter that scales the value, 0 for none.
        biases: Name of the bias that the values carry, by index of the weight.
    """

    labels: Tensor
    biases: Mapping[int, str]


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


def function_name(func: Callable) -> str:
    """The name of what a TorchFunctionMode sees; for an attribute of a tensor, the attribute's."""
    name = getattr(func, "__name__", str(func))
    if name in ("__get__", "__set__"):
        attribute = getattr(getattr(func, "__self__", None), "__name__", "")
        return attribute if name == "__get__" else f"set {attribute}"
    return name


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def map_tensors(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """Nested arguments with each tensor replaced."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)([map_tensors(item, function) for item in value])
    if isinstance(value, dict):
        return {key: map_tensors(item, function) for key, item in value.items()}
    return value


def argument(args: Sequence, kwargs: Mapping, index: int, name: str, default: Any = None) -> Any:
    """An argument that may be given by position or by name."""
    return args[index] if len(args) > index else kwargs.get(name, default)


def has_padding(args: tuple, kwargs: dict) -> bool:
    """Whether an average pooling pads with zeros: ``avg_pool(input, kernel_size, stride, padding, …)``."""
    padding = argument(args, kwargs, 3, "padding", 0)
    return any(padding) if isinstance(padding, (tuple, list)) else bool(padding)


def one_for_zero(value: Any) -> Any:
    """The sizes of a view of an empty tensor, for its stand-in with one element."""
    if isinstance(value, (tuple, list, torch.Size)):
        return tuple(one_for_zero(item) for item in value)
    return 1 if isinstance(value, int) and not isinstance(value, bool) and value == 0 else value
