"""Weights that ``fully_shard`` has split over processes along their first dimension.

Each process then holds some of the rows of a weight, which are its filters (of a transposed convolution, its
input channels). Sums of squares of what it holds are all that a process has to tell the others, a number a
filter: their sum over processes gives every norm to each of them, and with the norms the factors, by which
each multiplies its rows and folds its own BN statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from wrs_mm.errors import ModelError
from wrs_mm.rescaling.models import has_class_name

_INSTEAD = (
    "weight rescaling works with DistributedDataParallel, and with fully_shard over one mesh dimension and "
    "its default shards (along dimension 0)"
)


@dataclass(frozen=True)
class Shard:
    """Which part of a weight this process holds.

    Attributes:
        first: The number of its first row.
        rows: How many rows it holds; 0 where there are more processes than rows.
        group: The processes among which the weight is split.
    """

    first: int
    rows: int
    group: Any


def refuse_unusable_shards(model: nn.Module) -> None:
    """Raise ModelError for a model that is split over processes in a way that no norm can be told from."""
    flat = any(has_class_name(module, {"FullyShardedDataParallel"}) for module in model.modules()) or any(
        getattr(p, "_is_flat_param", False) for p in model.parameters()
    )
    if flat:
        raise ModelError(
            "the model is sharded by FullyShardedDataParallel, whose flat parameters end anywhere inside a "
            f"filter: {_INSTEAD}"
        )
    for name, parameter in model.named_parameters():
        placements = getattr(parameter, "placements", None)
        if placements is None or (len(placements) == 1 and placements[0].is_shard(0)):
            continue
        where = ", ".join(map(repr, placements))
        raise ModelError(f"{name} is sharded as ({where}), not along its filters alone: {_INSTEAD}")


def is_sharded(parameter: Tensor) -> bool:
    """Whether processes hold parts of a parameter (a DTensor)."""
    return hasattr(parameter, "placements")


def require_whole(model: nn.Module, method: str) -> None:
    """Refuse a sharded model, for a method that needs whole weights.

    Args:
        model: Its parameters are looked at.
        method: What the message calls the method.

    Raises:
        ModelError: Processes hold parts of a parameter.
    """
    if any(map(is_sharded, model.parameters())):
        raise ModelError(
            f"{method} needs whole weights on each process, and this model is sharded: train it with DDP, or "
            "use weight rescaling, which knows fully_shard"
        )


def shard_of(parameter: Any) -> Shard | None:
    """Which part of a parameter this process holds; None for all of it."""
    if not is_sharded(parameter):
        return None
    mesh = parameter.device_mesh
    each = -(-parameter.shape[0] // mesh.size())  # as torch.chunk splits
    first = min(mesh.get_local_rank() * each, parameter.shape[0])
    rows = parameter.to_local().shape[0]
    assert rows == min(each, parameter.shape[0] - first), "rows are split otherwise than by torch.chunk"
    return Shard(first, rows, mesh.get_group())


def local(parameter: Any) -> Tensor:
    """What this process holds of a parameter; shares its memory."""
    held: Tensor = parameter.detach()
    return held.to_local() if is_sharded(parameter) else held


def whole(parameter: Any) -> Tensor:
    """All of a parameter; of one that is split, every process must ask for it."""
    gathered: Tensor = parameter.full_tensor() if is_sharded(parameter) else parameter
    return gathered


def sum_over(group: Any, values: Tensor) -> None:
    """Sum over processes, in place."""
    dist.all_reduce(values, op=dist.ReduceOp.SUM, group=group)


def smallest_over(group: Any, values: Tensor) -> None:
    """Minimum over processes, in place."""
    dist.all_reduce(values, op=dist.ReduceOp.MIN, group=group)


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """The parameters as a forward sees them, which ``fully_shard`` keeps as objects between forwards."""
    sharded = [module for module in model.modules() if has_class_name(module, {"FSDPModule"})]
    for module in sharded:
        module.unshard()
    try:
        yield
    finally:
        split_again(model)


def split_again(model: nn.Module) -> None:
    """What a forward has gathered becomes parts again: the parameters are those that the optimizer has."""
    for module in model.modules():
        if has_class_name(module, {"FSDPModule"}):
            module.reshard()
