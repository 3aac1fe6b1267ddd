"""Random tensors for tests of operators, and the same values laid out otherwise in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers that a seed decides; those of float32 are those of float64, rounded."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def with_gaps(x: Tensor) -> Tensor:
    """The same values, with others between them in memory."""
    return torch.stack([x, torch.full_like(x, torch.nan)], dim=-1)[..., 0]


def turned(x: Tensor) -> Tensor:
    """The same values, with the dimensions in reverse order in memory; neither has gaps."""
    order = tuple(reversed(range(x.dim())))
    return x.permute(order).contiguous().permute(order)


def layouts(x: Tensor) -> list[Tensor]:
    """The same values in each layout; those with four dimensions also channels_last."""
    return [with_gaps(x), turned(x), *([x.to(memory_format=torch.channels_last)] if x.dim() == 4 else [])]
