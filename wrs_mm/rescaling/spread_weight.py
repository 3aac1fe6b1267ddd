"""A weight whose norms are sums: over the filters of a group, or over what several processes hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from wrs_mm.rescaling.filter_groups import Groups, group_norms, number_of_groups
from wrs_mm.rescaling.functional import norm_dtype, number_of_filters
from wrs_mm.rescaling.sharding import Shard, is_sharded, local, shard_of, sum_over


class SpreadWeight:
    """One weight with its norms and factors, as sums of squares.

    Args:
        weight: The parameter, whole or a part of it.
        transposed_groups: See :func:`wrs_mm.rescaling.functional.filter_view`.
        groups: The groups of its filters.
        norms: ``(groups,)`` where to write norms.
        factors: ``(groups,)`` where factors will stand.
    """

    def __init__(
        self, weight: Any, transposed_groups: int, groups: Groups | None, norms: Tensor, factors: Tensor
    ) -> None:
        self.weight, self.norms, self.factors = weight, norms, factors
        numbers = _group_by_row(weight.shape, transposed_groups, groups, shard_of(weight))
        self._index = numbers.flatten().to(norms.device)
        self._beside = (*numbers.shape, *[1] * (weight.dim() - numbers.dim()))
        self._inside = tuple(range(numbers.dim(), weight.dim()))

    def measure(self) -> None:
        """Write the sums of squares of what this process holds."""
        parts = torch.linalg.vector_norm(local(self.weight), dim=self._inside, dtype=self.norms.dtype)
        self.norms.zero_().index_add_(0, self._index, parts.square_().flatten())

    def finish(self) -> None:
        """Sums of squares, of all processes, become norms."""
        self.norms.sqrt_()

    def multiply(self) -> None:
        """``w_i ← c_i w_i``."""
        local(self.weight).mul_(self.factors.index_select(0, self._index).view(self._beside))


def _group_by_row(
    shape: Sequence[int], transposed_groups: int, groups: Groups | None, shard: Shard | None
) -> Tensor:
    """The group of each row of a weight that this process holds: ``(rows,)``.

    Of a transposed convolution that of each row and output channel: ``(rows, out/G)``.
    """
    count = number_of_filters(shape, transposed_groups)
    numbers = torch.arange(count) if groups is None else torch.tensor(groups)
    if transposed_groups:
        by_group = numbers.view(transposed_groups, 1, -1)
        numbers = by_group.expand(-1, shape[0] // transposed_groups, -1).flatten(0, 1)
    return numbers if shard is None else numbers[shard.first : shard.first + shard.rows]


@torch.no_grad()
def norms_of(weight: Any, transposed_groups: int, groups: Groups | None) -> Tensor:
    """:func:`~wrs_mm.rescaling.filter_groups.group_norms`, of a weight that may be split over processes."""
    shard = shard_of(weight)
    if shard is None:
        return group_norms(weight, transposed_groups, groups)
    count = number_of_filters(weight.shape, transposed_groups) if groups is None else number_of_groups(groups)
    norms = torch.zeros(count, dtype=norm_dtype(weight.dtype), device=local(weight).device)
    spread = SpreadWeight(weight, transposed_groups, groups, norms, norms)
    spread.measure()
    sum_over(shard.group, norms)
    spread.finish()
    return norms


def is_spread(weight: Tensor, groups: Groups | None) -> bool:
    """Whether norms of a weight are such sums: some, but not all of its filters in one, or not all here."""
    return is_sharded(weight) or (groups is not None and any(groups))
