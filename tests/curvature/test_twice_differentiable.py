"""RoI align's second derivative by finite differences, and a two-stage detector's."""

from __future__ import annotations

import pytest
import torch

from wrs_mm.curvature import HessianProduct, twice_differentiable  # registers mmcv's operators first
from wrs_mm.errors import ModelError

from mmcv.ops import RoIAlign  # isort: skip

ROIS = torch.tensor([[0, 0.3, 0.2, 5.1, 6.4], [1, 2.0, 1.5, 7.9, 3.3]], dtype=torch.float64)


def features() -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("aligned", [True, False])
def test_first_and_second_derivative_are_those_of_finite_differences(aligned: bool) -> None:
    pool = RoIAlign(2, spatial_scale=0.9, sampling_ratio=0, aligned=aligned)
    with twice_differentiable():
        assert torch.autograd.gradcheck(lambda x: pool(x, ROIS), features())
        assert torch.autograd.gradgradcheck(lambda x: pool(x, ROIS).pow(3), features())


def test_values_and_gradients_are_mmcvs() -> None:
    pool = RoIAlign(3)
    x, y = features(), None
    y = pool(x, ROIS)
    (expected,) = torch.autograd.grad(y.square().sum(), x)
    with twice_differentiable():
        again = pool(x, ROIS)
        (found,) = torch.autograd.grad(again.square().sum(), x)
    assert torch.equal(y, again) and torch.equal(expected, found)


def test_outside_of_it_mmcvs_own_is_back_and_maxima_stay_its_own() -> None:
    def second_derivative_is_missing(pool: RoIAlign) -> bool:
        x = features()
        try:
            HessianProduct(pool(x, ROIS).pow(3).sum(), [x])
        except ModelError:
            return True
        return False

    with pytest.raises(ZeroDivisionError), twice_differentiable():
        raise ZeroDivisionError
    assert second_derivative_is_missing(RoIAlign(2))
    with twice_differentiable():
        assert not second_derivative_is_missing(RoIAlign(2))
        assert second_derivative_is_missing(RoIAlign(2, pool_mode="max"))
