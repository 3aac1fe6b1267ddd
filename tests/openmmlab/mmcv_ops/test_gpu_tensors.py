"""Operators with tensors of a GPU, without one: all stays there, and nothing waits for what it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext
from wrs_mm.openmmlab.mmcv_ops.roi_align_max import max_pool_backward

provide_mmcv_ext()

from mmcv import ops  # noqa: E402

OPERATORS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "deform_conv2d": (
        lambda x, offset, weight: ops.deform_conv2d(x, offset, weight, 1, 1),
        [(2, 3, 6, 7), (2, 18, 6, 7), (4, 3, 3, 3)],
    ),
    "modulated_deform_conv2d": (
        lambda x, offset, mask, weight: ops.modulated_deform_conv2d(x, offset, mask, weight, None, 1, 1),
        [(2, 3, 6, 7), (2, 18, 6, 7), (2, 9, 6, 7), (4, 3, 3, 3)],
    ),
    "roi_align, average": (lambda x, rois: ops.roi_align(x, rois, (2, 2), 0.5, 2), [(2, 3, 6, 7), (4, 5)]),
    "roi_pool": (lambda x, rois: ops.roi_pool(x, rois, (2, 2), 0.5), [(2, 3, 6, 7), (4, 5)]),
}


def gradients(out: Tensor) -> list[Tensor]:
    """What the operator's backward returns for its inputs; torch's engine asks for a real GPU."""
    node: Any = out.grad_fn
    return [g for g in type(node)._forward_cls.backward(node, torch.empty_like(out)) if g is not None]


@pytest.mark.parametrize("name", OPERATORS)
def test_outputs_and_gradients_are_on_the_gpu_that_the_inputs_are_on(name: str) -> None:
    operator, shapes = OPERATORS[name]
    with FakeTensorMode(), torch.device("cuda:0"):
        inputs = [torch.empty(shape, requires_grad=shape[1:] != (5,)) for shape in shapes]
        out = operator(*inputs)
        found = gradients(out)
        assert {tensor.device for tensor in (out, *found)} == {torch.device("cuda:0")}
        assert [g.shape for g in found] == [tensor.shape for tensor in inputs if tensor.requires_grad]


def test_the_gradient_of_maximum_pooling_stays_on_the_gpu() -> None:
    """Its forward sorts regions by their number of samples, and so has to look at them."""
    with FakeTensorMode(), torch.device("cuda:0"):
        bins, features = torch.empty(4, 3, 2, 2), torch.empty(2, 3, 6, 7)
        max_pool_backward(bins, torch.empty(4, 5), bins, bins, features)
        assert features.device == torch.device("cuda:0")


@pytest.mark.parametrize("loss", [ops.softmax_focal_loss, ops.sigmoid_focal_loss])
def test_focal_losses_stay_on_the_gpu(loss: Callable[..., Tensor]) -> None:
    with FakeTensorMode(), torch.device("cuda:0"):
        scores = torch.empty(5, 3, requires_grad=True)
        value = loss(scores, torch.zeros(5, dtype=torch.int64), 2.0, 0.25, None, "sum")
        (found,) = gradients(value)
        assert value.device == found.device == torch.device("cuda:0") and found.shape == scores.shape


def test_overlaps_of_boxes_stay_on_the_gpu() -> None:
    with FakeTensorMode(), torch.device("cuda:0"):
        overlaps = ops.bbox_overlaps(torch.empty(4, 4), torch.empty(3, 4))
        assert overlaps.device == torch.device("cuda:0") and overlaps.shape == (4, 3)
