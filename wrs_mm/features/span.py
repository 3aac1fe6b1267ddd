"""The span of the patches that a filter saw, and what of the filter lies outside.

A filter's gradient is a sum of the patches it saw, each times the gradient of one output. So SGD, with or
without momentum, moves a filter only within their span, and what of it lies outside stays: weight noise.

**How rank is decided.** Patches are kept in float64 as they are, or as the R of their QR decomposition, never
as their Gram matrix, which would square singular values and lose the small ones. Singular values up to
``σ₁ · max(patches, size) · ε`` count as zero, as in ``numpy.linalg.matrix_rank``, with the ε of float64. So
do those up to ``32 ε ‖X‖``, with the Frobenius norm of all patches X and the ε of the precision in which they
were computed: entries that are off by so many roundings change no singular value by more (Weyl).

**What finite data needs.** n patches span n dimensions at most. Where the rank is that of few patches, other
images would have had patches outside, and what is measured is what *this training* could not reach;
:meth:`Span.share_outside` of patches that it did not see says how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """The span of some patches, by group of filters.

    Attributes:
        bases: Of each group, ``(size, rank)`` orthonormal.
        singular_values: ``(groups, values)``, largest first.
        threshold: ``(groups,)`` those up to it count as zero.
        patches: How many there were, in each group.
        fed: ``(groups, size)`` whether a value of the patches was ever anything but exactly zero.
    """

    bases: tuple[Tensor, ...]
    singular_values: Tensor
    threshold: Tensor
    patches: int
    fed: Tensor

    @property
    def size(self) -> int:
        """Of a patch, and of a filter."""
        return self.fed.shape[1]

    @property
    def ranks(self) -> list[int]:
        """Of each group."""
        return [basis.shape[1] for basis in self.bases]

    @property
    def gap(self) -> tuple[float, float]:
        """The smallest singular value that counts and the largest that does not, by the group's largest.

        The smallest and the largest over all groups; 1 and 0 where there is none.
        """
        shares = self.singular_values / self.singular_values[:, :1].clamp(min=torch.finfo(torch.float64).tiny)
        counts = self.singular_values > self.threshold[:, None]
        inside, outside = shares[counts], shares[~counts]
        return (
            float(inside.min()) if inside.numel() else 1.0,
            float(outside.max()) if outside.numel() else 0.0,
        )

    def outside(self, filters: Tensor) -> Tensor:
        """What lies outside.

        Args:
            filters: ``(groups, filters, size)``; patches, too.

        Returns:
            The same shape, float64.
        """
        parts = []
        for basis, part in zip(self.bases, filters.double(), strict=True):
            if basis.shape[1] == self.size:
                parts.append(torch.zeros_like(part))
                continue
            # Twice: what rounding left of the inside in the first pass goes in the second.
            for _ in range(2):
                part = part - (part @ basis) @ basis.T
            parts.append(part)
        return torch.stack(parts)

    def share_of_all(self, patches: Tensor) -> float:
        """The share of the energy of ``(groups, patches, size)``, of all together, that lies outside."""
        energy = float(patches.double().square().sum())
        return float(self.outside(patches).square().sum()) / energy if energy else 0.0

    def share_outside(self, filters: Tensor) -> Tensor:
        """``(groups, filters)`` the share of each filter's energy ``‖w‖²`` that lies outside; 0 of zero."""
        energy = filters.double().square().sum(-1)
        return (self.outside(filters).square().sum(-1) / energy).where(energy > 0, 0.0)


_ROUNDINGS = 32
"""How many roundings of its precision a value of a patch may be off by."""


class SeenPatches:
    """Gathers patches, in a memory that does not grow with their number.

    Args:
        rounding: The ε of the precision in which they are computed.
    """

    def __init__(self, rounding: float) -> None:
        self.rounding = rounding
        self.count = 0
        self._rows: list[Tensor] = []
        self._fed: Tensor | None = None

    def add(self, patches: Tensor) -> None:
        """Take in ``(groups, patches, size)``."""
        patches = patches.detach().double()
        fed = (patches != 0).any(dim=1)
        self._fed = fed if self._fed is None else self._fed | fed
        self.count += patches.shape[1]
        self._rows.append(patches)
        if sum(rows.shape[1] for rows in self._rows) > 4 * patches.shape[2]:
            self._rows = [self.rows()]

    def rows(self) -> Tensor:
        """``(groups, rows, size)`` with the span, singular values and energy of the patches so far.

        They are the patches, or the R of their QR decomposition.
        """
        rows = torch.cat(self._rows, dim=1)
        return torch.linalg.qr(rows, mode="r")[1] if rows.shape[1] > rows.shape[2] else rows

    def rank(self) -> float:
        """The rank so far, the mean over groups."""
        values = torch.linalg.svdvals(self.rows())
        return float((values > self._threshold(values)[:, None]).sum(1).double().mean())

    def span(self) -> Span:
        """The span so far."""
        rows = self.rows()
        self._rows = [rows]
        _, values, directions = torch.linalg.svd(rows, full_matrices=False)
        threshold = self._threshold(values)
        bases = tuple(
            right[: int((its > limit).sum())].T.contiguous()
            for its, right, limit in zip(values, directions, threshold, strict=True)
        )
        assert self._fed is not None
        return Span(bases, values, threshold, self.count, self._fed)

    def _threshold(self, values: Tensor) -> Tensor:
        assert self._fed is not None
        of_svd = values[:, 0] * max(self.count, self._fed.shape[1]) * torch.finfo(torch.float64).eps
        return of_svd.maximum(_ROUNDINGS * self.rounding * values.norm(dim=1))
