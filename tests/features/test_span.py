"""Spans of patches: ranks as numpy decides them, and what of a filter lies outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from wrs_mm.features.span import SeenPatches

ROUNDING = 2.0**-52


def made(count: int, size: int, rank: int, groups: int = 1) -> Tensor:
    """Random patches of a rank."""
    torch.manual_seed(count + size + rank)
    one, other = torch.randn(groups, count, rank), torch.randn(groups, rank, size)
    return one.double() @ other.double()


def seen(patches: Tensor, portion: int) -> SeenPatches:
    gathered = SeenPatches(ROUNDING)
    for part in patches.split(portion, dim=1):
        gathered.add(part)
    return gathered


@pytest.mark.parametrize(("count", "size", "rank"), [(300, 12, 7), (300, 12, 12), (9, 30, 9), (9, 30, 4)])
@pytest.mark.parametrize("portion", [3, 100, 1000])
def test_ranks_are_numpys_of_all_patches_at_once(count: int, size: int, rank: int, portion: int) -> None:
    patches = made(count, size, rank, groups=2)
    gathered = seen(patches, portion)
    expected = [int(np.linalg.matrix_rank(part.numpy())) for part in patches]
    assert expected == [rank, rank]
    assert gathered.rank() == rank
    span = gathered.span()
    assert span.ranks == expected and span.patches == count and span.size == size
    least, next_one = span.gap
    assert least > 1e-4 and next_one < 1e-14


def test_a_small_singular_value_counts_that_a_gram_matrix_would_lose() -> None:
    patches = torch.diag(torch.tensor([1.0, 1e-10, 0.0], dtype=torch.float64))[None]
    assert int(np.linalg.matrix_rank((patches[0].T @ patches[0]).numpy())) == 1
    assert seen(patches, 1).span().ranks == [2]


def test_features_of_float32_are_judged_by_its_rounding() -> None:
    patches = torch.diag(torch.tensor([1.0, 1e-10, 0.0], dtype=torch.float64))[None]
    coarse = SeenPatches(2.0**-23)
    coarse.add(patches.float())
    assert coarse.span().ranks == [1]


def test_what_is_outside_stands_at_a_right_angle_to_each_patch_and_what_is_left_is_inside() -> None:
    patches = made(40, 20, 6)
    span = seen(patches, 7).span()
    filters = torch.randn(1, 5, 20, dtype=torch.float64)
    outside = span.outside(filters)
    assert (outside @ patches.mT).abs().max() < 1e-12
    inside = filters - outside
    # By least squares, a combination of the patches.
    found = torch.linalg.lstsq(patches[0].T, inside[0].T, driver="gelsd").solution
    torch.testing.assert_close(patches[0].T @ found, inside[0].T, rtol=0, atol=1e-12)
    share = span.share_outside(filters)
    torch.testing.assert_close(share, (outside.square().sum(-1) / filters.square().sum(-1)))
    assert span.share_outside(patches).max() < 1e-28
    assert span.share_outside(torch.zeros(1, 1, 20)) == 0


def test_random_filters_lie_outside_by_the_share_of_dimensions() -> None:
    span = seen(made(100, 60, 15), 100).span()
    share = span.share_outside(torch.randn(1, 4000, 60)).mean()
    assert float(share) == pytest.approx((60 - 15) / 60, abs=0.01)


def test_nothing_lies_outside_of_everything() -> None:
    span = seen(made(100, 6, 6), 100).span()
    assert not span.outside(torch.randn(1, 3, 6)).any()


def test_values_that_no_patch_has_are_told_exactly() -> None:
    patches = made(50, 8, 5)
    patches[..., 3] = 0.0
    patches[..., 4] = 0.0
    patches[0, 17, 4] = 1e-300
    assert seen(patches, 10).span().fed[0].tolist() == [True, True, True, False, True, True, True, True]


@pytest.mark.parametrize("patches", [60, 60_000])
def test_what_rounding_in_float32_makes_of_zero_counts_as_zero_and_a_thousandth_does_not(
    patches: int,
) -> None:
    """However many patches there are: three channels that say the same, each rounded in its own way."""
    torch.manual_seed(0)
    seen = SeenPatches(torch.finfo(torch.float32).eps)
    grey = torch.randn(1, patches, 9)
    grey[..., -1] *= 1e-3
    channels = [(grey - mean) / sd for mean, sd in ((0.1, 0.9), (0.3, 1.7), (-0.2, 0.3))]
    seen.add(torch.cat([*channels, torch.ones(1, patches, 1)], dim=-1))
    # Nine values, and the constant by which channels differ.
    assert seen.rank() == 10 and seen.span().ranks == [10]
