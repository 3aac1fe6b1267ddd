"""Groups: the finest sets of filters that may be scaled together, each by one number.

A norm layer subtracts the mean μ and divides by √(σ² + ε) of a *slice* of its input. Let the values of a
slice be ``y = w_i * x``, with filters ``w_i`` of one weight. Multiplied by one number a > 0, all of them
together turn ``y`` into ``a y``, μ into ``a μ`` and σ² into ``a² σ²``, so that

    (a y − a μ) / √(a² σ² + ε) = (y − μ) / √(σ² + ε / a²)

and the output stays the same up to ε: as exactly as under BN in training. Filters of one slice that are
multiplied by different numbers change their weights against each other in μ and σ², and so the output. Hence

==========================================  =====================================================
a slice of                                  is, and scaled together are
==========================================  =====================================================
BN (``N × H × W`` of a channel)             one filter's; each filter
InstanceNorm (``H × W`` of a channel)       one filter's; each filter
GroupNorm (``C/G × H × W``)                 C/G filters'; the filters of a group (each, if C/G = 1)
LayerNorm over channels (``C``)             all filters'; the whole weight
==========================================  =====================================================

A bias ``b_i`` is not scaled. Where the slice is one filter's it is the same number in all values, and μ takes
it away. Where several filters share a slice it is not: ``y = w_i * x + b_i`` leaves ``b_i`` less their mean,
which does not follow a. So behind a bias nothing is scale-invariant under GroupNorm and LayerNorm, unless all
``b_i`` of a slice are equal, which training does not keep. (Weight and bias scaled together would be.)

A filter that several norm layers, or several slices of one, take with different partners is scaled with all
of them: groups that share a filter are one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from wrs_mm.rescaling.functional import filter_norms

Groups = tuple[int, ...]
"""For each filter of a weight the number of its group: 0, 1, … in the order of their first filters."""


def join(tied: Iterable[Sequence[int]], count: int) -> Groups | None:
    """The groups of a weight.

    Args:
        tied: Sets of filters, each of which must be scaled together.
        count: Number of the weight's filters.

    Returns:
        None where each filter is scaled on its own.
    """
    parent = list(range(count))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for filters in tied:
        roots = sorted({root(i) for i in filters})
        for other in roots[1:]:
            parent[other] = roots[0]
    numbers: dict[int, int] = {}
    groups = tuple(numbers.setdefault(root(i), len(numbers)) for i in range(count))
    return None if len(numbers) == count else groups


def number_of_groups(groups: Groups) -> int:
    """How many groups there are."""
    return max(groups, default=-1) + 1


def group_sizes(groups: Groups) -> Tensor:
    """``(number of groups,)`` int64, the number of filters in each."""
    counts = Counter(groups)
    return torch.tensor([counts[number] for number in range(number_of_groups(groups))])


def group_norms(weight: Tensor, transposed_groups: int = 0, groups: Groups | None = None) -> Tensor:
    """L2 norms of a weight's groups of filters.

    Args:
        weight: As in :func:`wrs_mm.rescaling.functional.filter_view`; any floating dtype, any memory format.
        transposed_groups: As in the same.
        groups: None for each filter on its own.

    Returns:
        ``(number of groups,)``; float32, or float64 for a float64 weight.
    """
    if groups is None:
        return filter_norms(weight, transposed_groups)
    if not any(groups):
        return filter_norms(weight, transposed_groups, "layer")
    norms = filter_norms(weight, transposed_groups)
    index = torch.tensor(groups, device=norms.device)
    return norms.new_zeros(number_of_groups(groups)).index_add_(0, index, norms.square()).sqrt_()
