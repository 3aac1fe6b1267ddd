"""A model and its training loss in float64: mmdet and mmseg name float32 themselves here and there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from wrs_mm.borrowed import seeded
from wrs_mm.rescaling.labels import map_tensors

NEGLIGIBLE_EPS = 1e-30
"""An ε of norm layers that no digit of a float64 variance feels."""

NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def copy_in(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of a model in a precision."""
    with _Detached():
        copied = copy.deepcopy(model)
    for module in [copied, *_hidden(copied)]:
        # Not the model's own ``to``: a distilling detector's takes a device and nothing else.
        nn.Module.to(module, dtype)
    return copied


def _hidden(model: nn.Module) -> list[nn.Module]:
    """Modules that a model holds as plain attributes, as a distilling detector holds its teacher."""
    return [held for m in model.modules() for held in vars(m).values() if isinstance(held, nn.Module)]


class _Detached(TorchFunctionMode):
    """Lets a model be copied that keeps tensors of its last forward, as CondInst's head does."""

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is Tensor.__deepcopy__ and not args[0].is_leaf:
            return args[0].detach().clone()
        return func(*args, **(kwargs or {}))


def prepare(model: nn.Module, batch: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """What the model's preprocessor makes of a batch, in a precision; the batch is not changed."""
    data: dict[str, Any] = _to_dtype(model.data_preprocessor(copy.deepcopy(batch), training=True), dtype)
    return data


def loss_of(model: nn.Module, data: dict[str, Any], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """The training loss of a batch.

    Args:
        model: The model, in that precision.
        data: From :func:`prepare`; it is not changed.
        dtype: The precision; its caller has made it the default (:func:`default_dtype`).
        seed: Of what the forward draws.
    """
    with seeded(seed), _Widened() if dtype is torch.float64 else nullcontext():
        losses = model(**copy.deepcopy(data), mode="loss")
        loss: Tensor = model.parse_losses(losses)[0]
    return loss


def repeatable_loss(model: nn.Module, batch: dict[str, Any], dtype: torch.dtype) -> Callable[[], Tensor]:
    """The training loss as a function of the weights alone: same data, random numbers and buffers."""
    data = prepare(model, batch, dtype)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def loss() -> Tensor:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
        return loss_of(model, data, dtype)

    return loss


class _Widened(TorchFunctionMode):
    """Makes float64 of every float32 result.

    Assigners and priors of mmdet name float32 themselves, and in a float64 model the two do not mix.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return map_tensors(
            func(*args, **(kwargs or {})), lambda t: t.double() if t.dtype is torch.float32 else t
        )


def _to_dtype(value: Any, dtype: torch.dtype) -> Any:
    """Nested data with floating tensors in another precision, in place for data samples."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(_to_dtype(item, dtype) for item in value)
    if isinstance(value, dict):
        return {key: _to_dtype(item, dtype) for key, item in value.items()}
    if hasattr(value, "items") and hasattr(value, "set_field"):
        for key, item in value.items():
            setattr(value, key, _to_dtype(item, dtype))
    elif hasattr(value, "tensor") and isinstance(value.tensor, Tensor):
        value.tensor = value.tensor.to(dtype)
    return value


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New tensors, such as priors, in this precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
