"""Norms of filters, the factors that rescale them, and the fold into batch normalization.

The arithmetic of weight rescaling (Liu et al., arXiv 2102.03497), as functions of tensors:

* rescale: ``w_i ← c_i w_i`` with ``c_i = target_i / ‖w_i‖₂``;
* fold: ``mean_i ← c_i (mean_i − b_i) + b_i`` and ``var_i ← c_i² (var_i + ε) − ε``, after which a batch
  normalization in eval mode that follows the rescaled filter gives exactly the output it gave before.

The fold is ours: the paper's loss does not need it, a validation right after a rescale does.

The training step takes ``c_i`` and the fold from here, but works on many weights at a time:
:class:`wrs_mm.rescaling.buckets.Bucket` measures ``‖w_i‖₂`` and multiplies. :func:`filter_norms` and
:func:`rescale_` do the same to one weight: for the norms when training began (``target='init'``), the audit
and the tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_SMALLEST_VARIANCE = 1e-3
"""Float32 cannot hold ``var_i`` beside ε where ``c_i² (var_i + ε) < _SMALLEST_VARIANCE · ε``."""


def filter_view(weight: Tensor, transposed_groups: int = 0) -> tuple[Tensor, tuple[int, ...]]:
    """See a weight as its filters.

    Args:
        weight: ``(out, in/G, *k)`` of a convolution, ``(out, in)`` of a linear layer, or
            ``(in, out/G, *k)`` of a transposed convolution.
        transposed_groups: The number of groups ``G`` of a transposed convolution; 0 for all others.

    Returns:
        A view of the weight (never a copy, whatever its memory format) and the dimensions of that view
        that lie inside a filter. The remaining ones, in order, count the filters: ``(out,)``, or
        ``(G, out/G)`` where filter ``(g, o)`` feeds output channel ``g · out/G + o``.
    """
    if transposed_groups:
        weight = weight.unflatten(0, (transposed_groups, -1))
        return weight, (1, *range(3, weight.dim()))
    return weight, tuple(range(1, weight.dim()))


def filter_norms(weight: Tensor, transposed_groups: int = 0, granularity: str = "filter") -> Tensor:
    """L2 norms of a weight's filters, or of the whole weight.

    Args:
        weight: As in :func:`filter_view`; any floating dtype, any memory format.
        transposed_groups: As in :func:`filter_view`.
        granularity: ``'filter'`` or ``'layer'``.

    Returns:
        ``(out,)`` norms, or ``(1,)`` for ``'layer'``; float32, or float64 for a float64 weight.
    """
    filters, inside = filter_view(weight.detach(), transposed_groups)
    dims = tuple(range(filters.dim())) if granularity == "layer" else inside
    return torch.linalg.vector_norm(filters, dim=dims, dtype=norm_dtype(weight.dtype)).reshape(-1)


def norm_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which norms of a weight of ``dtype`` are computed: float32 or wider."""
    return torch.promote_types(dtype, torch.float32)


def rescale_factors(norms: Tensor, targets: Tensor | float, smallest: Tensor, largest: Tensor) -> Tensor:
    """The factors ``c_i = target_i / ‖w_i‖₂``, and 1 for filters that are to be left alone.

    Args:
        norms: ``(n,)`` L2 norms.
        targets: ``(n,)`` or a number.
        smallest: ``(n,)`` a filter whose norm is at most this is dead: rescaled, it would wake with noise.
        largest: ``(n,)`` a filter whose norm is above this is left alone (:func:`largest_foldable_norm`);
            finite, so that a non-finite norm is left alone too.

    Returns:
        ``(n,)`` factors.
    """
    wanted = (norms > smallest) & (norms <= largest)
    return torch.where(wanted, targets / norms, 1.0)


def rescale_(weight: Tensor, factors: Tensor, transposed_groups: int = 0) -> Tensor:
    """Multiply each filter by its factor, in place and in the weight's own memory format.

    Args:
        weight: As in :func:`filter_view`.
        factors: ``(out,)``, or ``(1,)`` for the whole weight.
        transposed_groups: As in :func:`filter_view`.
    """
    filters, _ = filter_view(weight.detach(), transposed_groups)
    if factors.numel() > 1 and transposed_groups:
        factors = factors.view(transposed_groups, -1).unsqueeze(1)
    filters.mul_(factors.view(factors.shape + (1,) * (filters.dim() - factors.dim())))
    return weight


def fold(
    mean: Tensor, var: Tensor, eps: Tensor | float, factors: Tensor, bias: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """Batch normalization statistics that go with rescaled filters.

    Args:
        mean: ``(n,)`` running means.
        var: ``(n,)`` running variances.
        eps: BN's ε, a number or ``(n,)``.
        factors: ``(n,)`` the ``c_i`` of the filter that feeds each channel.
        bias: ``(n,)`` the convolution's bias, which is not rescaled; 0 where it has none.

    Returns:
        The new ``(mean, var)``. A variance may be negative: ``var + ε`` stays positive, and only that sum
        is ever used.
    """
    return factors * (mean - bias) + bias, factors.square() * (var + eps) - eps


def largest_foldable_norm(var: Tensor, eps: Tensor | float, targets: Tensor | float) -> Tensor:
    """The largest norm of a filter after whose rescale float32 can hold its BN's new variance.

    ``c² (var + ε) ≥ 10⁻³ ε`` with ``c = target / norm``, solved for the norm.

    Args:
        var: ``(n,)`` running variances.
        eps: BN's ε, a number or ``(n,)``.
        targets: ``(n,)`` the target norm of the filter that feeds each channel, or a number.

    Returns:
        ``(n,)`` norms.
    """
    return targets * ((var + eps) / (_SMALLEST_VARIANCE * eps)).sqrt()


def number_of_filters(shape: Sequence[int], transposed_groups: int) -> int:
    """The number of output channels of a weight of a shape; for both see :func:`filter_view`."""
    return shape[1] * transposed_groups if transposed_groups else shape[0]
