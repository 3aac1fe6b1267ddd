"""Of each operator, on the inputs that gpu_check draws: precisions, layouts, and nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scripts import load_script
from torch import Tensor

import wrs_mm  # noqa: F401
from wrs_mm.borrowed import seeded

SCRIPT = Path(__file__).resolve().parents[3] / "tools" / "perf" / "gpu_operators.py"

with pytest.MonkeyPatch.context() as patch:
    OPERATORS: dict[str, Callable[[Callable[[Tensor], Tensor]], list[Tensor]]] = load_script(
        SCRIPT, patch
    ).OPERATORS


def results(name: str, to: Callable[[Tensor], Tensor]) -> list[Tensor]:
    with seeded(0):
        return [tensor.detach().double() for tensor in OPERATORS[name](to)]


def cast(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    return lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor


@pytest.mark.parametrize("name", OPERATORS)
def test_float32_computes_what_float64_does(name: str) -> None:
    pairs = zip(results(name, cast(torch.float32)), results(name, cast(torch.float64)), strict=True)
    for single, double in pairs:
        torch.testing.assert_close(single, double, rtol=1e-4, atol=1e-4, equal_nan=True)


def strided(tensor: Tensor) -> Tensor:
    """The same values, the last dimension first in memory."""
    return tensor.transpose(0, -1).contiguous().transpose(0, -1)


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


@pytest.mark.parametrize("layout", [strided, channels_last])
# mmcv itself takes no weight of another layout; images of all are in test_masked_conv.
@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"masked_im2col, masked_col2im"}))
def test_the_layout_in_memory_changes_nothing(name: str, layout: Callable[[Tensor], Tensor]) -> None:
    pairs = zip(results(name, layout), results(name, lambda tensor: tensor), strict=True)
    for other, contiguous in pairs:
        torch.testing.assert_close(other, contiguous, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", OPERATORS)
def test_half_precision_is_close_to_double_of_the_same_numbers(name: str, dtype: torch.dtype) -> None:
    half, double = results(name, cast(dtype)), results(name, lambda t: cast(torch.float64)(cast(dtype)(t)))
    for found, expected in zip(half, double, strict=True):
        assert torch.equal(found.isnan(), expected.isnan())
        error = (found - expected).nan_to_num().norm()
        assert error <= 0.03 * expected.nan_to_num().norm()


NOTHING = torch.zeros(0, 5)


def test_losses_of_no_boxes_are_zero_and_have_gradients() -> None:
    from mmcv import ops

    for loss in (ops.sigmoid_focal_loss, ops.softmax_focal_loss):
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            scores = torch.zeros(0, 5, dtype=dtype, requires_grad=True)
            result = loss(scores, torch.zeros(0, dtype=torch.int64), 2.0, 0.25, None, "sum")
            result.backward()
            assert float(result.detach()) == 0 and scores.grad is not None and scores.grad.shape == (0, 5)


def test_overlaps_and_matches_of_no_boxes_are_none() -> None:
    from mmcv import ops

    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    assert ops.bbox_overlaps(boxes, NOTHING[:, :4]).shape == (1, 0)
    assert ops.bbox_overlaps(NOTHING[:, :4], boxes).shape == (0, 1)
    assert ops.bbox_overlaps(NOTHING[:, :4], NOTHING[:, :4], aligned=True).numel() == 0
    assert ops.nms_match(NOTHING, 0.5) == []
    kept, index = ops.nms(NOTHING[:, :4], NOTHING[:, 4], 0.5)
    assert kept.shape == (0, 5) and index.shape == (0,)
    assert ops.soft_nms(NOTHING[:, :4], NOTHING[:, 4])[0].shape == (0, 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_no_regions_are_pooled_to_nothing_with_zeros_for_gradients(dtype: torch.dtype) -> None:
    from mmcv import ops

    for pool in (ops.RoIAlign(3, 0.5, 2), ops.RoIAlign(3, 0.5, 2, "max"), ops.RoIPool(3, 0.5)):
        x = torch.rand(1, 4, 8, 8).to(dtype).requires_grad_()
        out = pool(x, NOTHING.to(dtype))
        out.sum().backward()
        assert out.shape == (0, 4, 3, 3) and x.grad is not None and not x.grad.any()
