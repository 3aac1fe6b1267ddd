"""Weight noise: the part of each filter that no patch of a training could reach, and what became of it.

Predicted is, of each filter's part p outside the span of all patches that it saw:

* without weight decay, plain or with momentum: ``p' = p``. Where a value of all patches is exactly zero (of a
  dead channel, of a tap that only sees padding), the gradient is exactly zero, and the weight stays bit for
  bit; elsewhere a gradient outside the span is the rounding of one inside;
* weight decay λ: ``p' = (1 − η λ) p``, with momentum α ``v' = α v + λ p``, ``p' = p − η v'``;
* a rescale by c after that: ``p' ← c p'``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wrs_mm.features.span import Span
from wrs_mm.probe.short_training import WatchedLayer


@dataclass(frozen=True)
class Noise:
    """What became of the part outside, of one layer's filters.

    Attributes:
        layer: Name of the weight.
        size: Values of a filter.
        patches: How many were seen.
        rank: Of the patches, the mean over groups.
        gap: See :attr:`~wrs_mm.features.span.Span.gap`.
        fresh: The share of the energy of another batch's patches that lies outside; NaN of none.
        shares_start: Before the training, of each filter, the share of its energy ``‖w‖²`` outside.
        shares_end: After it.
        course: Before each update and after the last, the norm of the part outside by what it was at the
            start, of all filters together; empty where nothing lies outside.
        predicted: The same by the head of this file; None where it predicts nothing.
        residual: The largest difference between the two parts of a filter at the end, by the norm that the
            filter had at the start; None likewise.
        never_fed: How many of the weight's values met nothing but exact zeros.
        untouched: How many of those are bit for bit what they were.
        untouched_elsewhere: How many of all others are.
        others: How many others there are.
    """

    layer: str
    size: int
    patches: int
    rank: float
    gap: tuple[float, float]
    fresh: float
    shares_start: tuple[float, ...]
    shares_end: tuple[float, ...]
    course: tuple[float, ...]
    predicted: tuple[float, ...] | None
    residual: float | None
    never_fed: int
    untouched: int
    untouched_elsewhere: int
    others: int


def noise_of(watched: WatchedLayer, span: Span, fresh: Tensor | None = None) -> Noise:
    """What became of the part outside in a training.

    Args:
        watched: The layer in the training.
        span: Of all patches that it saw.
        fresh: ``(groups, patches, size)`` others; None for none.
    """
    start, end = watched.filters[0], watched.filters[-1]
    first, last = span.outside(start), span.outside(end)
    size = float(first.norm())
    # A part that is nothing but rounding has no course.
    there = size > 1e3 * torch.finfo(start.dtype).eps * float(start.norm())
    predicted, residual = None, None
    if watched.factors is not None:
        expected = watched.factors[-1][..., None] * first
        norms = start.norm(dim=-1)
        residual = float(((last - expected).norm(dim=-1) / norms).where(norms > 0, 0.0).max())
        if there:
            parts = first.norm(dim=-1)
            predicted = tuple(float((factor * parts).norm()) / size for factor in watched.factors)
    never = ~span.fed[:, None, :].expand_as(start)
    same = start == end
    return Noise(
        layer=watched.name,
        size=span.size,
        patches=span.patches,
        rank=float(np.mean(span.ranks)),
        gap=span.gap,
        fresh=float("nan") if fresh is None else span.share_of_all(fresh),
        shares_start=tuple(span.share_outside(start).flatten().tolist()),
        shares_end=tuple(span.share_outside(end).flatten().tolist()),
        course=tuple(float(span.outside(w).norm()) / size for w in watched.filters) if there else (),
        predicted=predicted,
        residual=residual,
        never_fed=int(never.sum()),
        untouched=int((never & same).sum()),
        untouched_elsewhere=int((~never & same).sum()),
        others=int((~never).sum()),
    )
