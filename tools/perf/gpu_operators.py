"""What gpu_check tries of each of mmcv's operators that are ours: outputs and gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

To = Callable[[Tensor], Tensor]
"""Moves a tensor to the device that is tried."""

Operator = Callable[[To], list[Tensor]]
"""Draws its inputs on the CPU, and returns its outputs and their gradients."""


def _regions() -> Tensor:
    corners = torch.rand(12, 2) * 40
    return torch.cat([torch.randint(0, 2, (12, 1)).float(), corners, corners + 8 + 20 * torch.rand(12, 2)], 1)


def _nms(to: To) -> list[Tensor]:
    from mmcv.ops import batched_nms, soft_nms

    boxes, scores = _regions()[:, 1:].repeat(5, 1) + torch.rand(60, 1), torch.rand(60)
    kept, index = batched_nms(
        to(boxes), to(scores), to(torch.zeros(60)), {"type": "nms", "iou_threshold": 0.5}
    )
    return [kept, index.float(), soft_nms(to(boxes), to(scores))[0]]


def _roi_align(to: To, mode: str = "avg") -> list[Tensor]:
    from mmcv.ops import RoIAlign

    x = to(torch.rand(2, 8, 16, 16)).requires_grad_()
    return _with_gradients(RoIAlign(7, 0.25, 2, mode)(x, to(_regions())), [x], to)


def _roi_pool(to: To) -> list[Tensor]:
    from mmcv.ops import RoIPool

    x = to(torch.rand(2, 8, 16, 16)).requires_grad_()
    return _with_gradients(RoIPool(7, 0.25)(x, to(_regions())), [x], to)


def _deform_conv(to: To) -> list[Tensor]:
    from mmcv.ops import deform_conv2d

    x, weight, offset = torch.rand(2, 8, 9, 9), torch.rand(4, 8, 3, 3), torch.randn(2, 18, 9, 9)
    leaves = [to(tensor).requires_grad_() for tensor in (x, offset, weight)]
    return _with_gradients(deform_conv2d(*leaves, 1, 1), leaves, to)


def _modulated(to: To) -> list[Tensor]:
    from mmcv.ops import modulated_deform_conv2d

    x, offset, mask = torch.rand(2, 8, 9, 9), torch.randn(2, 18, 9, 9), torch.rand(2, 9, 9, 9)
    leaves = [to(t).requires_grad_() for t in (x, offset, mask, torch.rand(4, 8, 3, 3), torch.rand(4))]
    return _with_gradients(modulated_deform_conv2d(*leaves, 1, 1), leaves, to)


def _nowhere(to: To) -> list[Tensor]:
    """Regions and offsets that are NaN or infinite."""
    from mmcv.ops import deform_conv2d, roi_align

    x, rois = to(torch.rand(3, 4, 9, 9)).requires_grad_(), _regions()
    rois[2, 3], rois[5, 1] = torch.nan, torch.inf
    pooled = _with_gradients(roi_align(x, to(rois), (2, 2), 0.25, 2), [x], to)
    offset = torch.randn(1, 18, 9, 9)
    offset[0, 3, 4, 4], offset[0, 8, 1, 2] = torch.nan, torch.inf
    leaves = [
        to(tensor).requires_grad_() for tensor in (torch.rand(1, 4, 9, 9), offset, torch.rand(4, 4, 3, 3))
    ]
    # Which cells a sample came from that lies nowhere, the kernels for GPUs need not say.
    return [*pooled, *_with_gradients(deform_conv2d(*leaves, 1, 1), leaves[1:2], to)]


def _focal_loss(to: To, kind: str) -> list[Tensor]:
    from mmcv import ops

    scores = to(torch.randn(40, 5)).requires_grad_()
    target = to(torch.randint(0, 6 if kind == "sigmoid_focal_loss" else 5, (40,)))
    return _with_gradients(getattr(ops, kind)(scores, target, 2.0, 0.25, None, "sum"), [scores], to)


def _attention(to: To) -> list[Tensor]:
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    value, places = torch.rand(2, 20, 4, 8), torch.rand(2, 6, 4, 2, 4, 2)
    leaves = [to(tensor).requires_grad_() for tensor in (value, places, torch.rand(2, 6, 4, 2, 4))]
    shapes, starts = to(torch.tensor([[4, 4], [2, 2]])), to(torch.tensor([0, 16]))
    out = MultiScaleDeformableAttnFunction.apply(leaves[0], shapes, starts, *leaves[1:], 64)
    return _with_gradients(out, leaves, to)


def _boxes(to: To) -> list[Tensor]:
    from mmcv.ops import bbox_overlaps, nms_match

    first, second = (to(_regions()[:, 1:]) for _ in range(2))
    scored = torch.cat([_regions()[:, 1:], torch.rand(12, 1)], 1)
    groups = nms_match(to(scored), 0.3)
    return [bbox_overlaps(first, second), *(torch.as_tensor(group).float() for group in groups)]


def _masked_conv(to: To) -> list[Tensor]:
    from mmcv.ops import masked_conv2d

    mask = to((torch.rand(1, 9, 8) > 0.5).float())
    tensors = (torch.rand(1, 4, 9, 8), torch.rand(3, 4, 3, 3), torch.rand(3))
    x, weight, bias = map(to, tensors)
    return [masked_conv2d(x, mask, weight, bias, 1)]


def _carafe(to: To) -> list[Tensor]:
    from mmcv.ops import carafe, carafe_naive

    leaves = [to(t).requires_grad_() for t in (torch.rand(2, 4, 5, 6), torch.rand(2, 18, 10, 12))]
    # On a CPU mmcv has no gradient of the naive one to compare with.
    return [*_with_gradients(carafe(*leaves, 3, 2, 2), leaves, to), carafe_naive(*leaves, 3, 2, 2)]


def _psa_mask(to: To, kind: str) -> list[Tensor]:
    from mmcv.ops import PSAMask

    x = to(torch.rand(2, 15, 5, 4)).requires_grad_()
    return _with_gradients(PSAMask(kind, (5, 3))(x), [x], to)


def _deform_roi_pool(to: To) -> list[Tensor]:
    from mmcv.ops import deform_roi_pool

    leaves = [to(t).requires_grad_() for t in (torch.rand(2, 4, 16, 16), torch.randn(12, 2, 3, 3))]
    return _with_gradients(
        deform_roi_pool(leaves[0], to(_regions()), leaves[1], (3, 3), 0.25, 2, 0.1), leaves, to
    )


def _sync_bn(to: To) -> list[Tensor]:
    """The steps of MMSyncBN in one process, as its module wants several."""
    from mmcv import _ext

    x, grad = to(torch.randn(4, 3, 10)), to(torch.randn(4, 3, 10))
    mean, var, std, by_weight, by_bias = (to(torch.zeros(3)) for _ in range(5))
    weight, bias, running_mean, running_var = (to(torch.rand(3)) for _ in range(4))
    norm, out, by_x = (torch.empty_like(x) for _ in range(3))
    _ext.sync_bn_forward_mean(x, mean)
    _ext.sync_bn_forward_var(x, mean, var)
    _ext.sync_bn_forward_output(
        x, mean, var, weight, bias, running_mean, running_var, norm, std, out,
        eps=1e-5, momentum=0.1, group_size=1,
    )  # fmt: skip
    _ext.sync_bn_backward_param(grad, norm, by_weight, by_bias)
    _ext.sync_bn_backward_data(grad, weight, by_weight, by_bias, norm, std, by_x)
    return [out, running_mean, running_var, by_weight, by_bias, by_x]


OPERATORS: dict[str, Operator] = {
    "nms, softnms": _nms,
    "nms_match, bbox_overlaps": _boxes,
    "roi_align, average": _roi_align,
    "roi_align, maximum": functools.partial(_roi_align, mode="max"),
    "roi_pool": _roi_pool,
    "deform_roi_pool": _deform_roi_pool,
    "deform_conv": _deform_conv,
    "modulated_deform_conv": _modulated,
    "roi_align and deform_conv, nowhere": _nowhere,
    "sigmoid_focal_loss": functools.partial(_focal_loss, kind="sigmoid_focal_loss"),
    "softmax_focal_loss": functools.partial(_focal_loss, kind="softmax_focal_loss"),
    "ms_deform_attn": _attention,
    "masked_im2col, masked_col2im": _masked_conv,
    "carafe, carafe_naive": _carafe,
    "psamask, collect": functools.partial(_psa_mask, kind="collect"),
    "psamask, distribute": functools.partial(_psa_mask, kind="distribute"),
    "sync_bn": _sync_bn,
}
"""By what is tried, named as in ``mmcv._ext``."""


def _with_gradients(out: Tensor, leaves: list[Tensor], to: To) -> list[Tensor]:
    weights = to(torch.linspace(-1, 1, out.numel()).view(out.shape))
    return [out, *torch.autograd.grad((out * weights).sum(), leaves)]
