"""mmcv's RoI align with a backward that can be differentiated."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within it, a two-stage detector's loss can be differentiated twice.

    Average pooling over RoIs is linear in the features, ``y = A x``. Its backward ``Aᵀ`` is linear too, and
    the backward of that is ``A`` again. Gradients are those of mmcv.
    """
    # By its name: the package's attribute is the function. Who has no mmcv has no two-stage detector.
    module: Any = sys.modules.get("mmcv.ops.roi_align")
    if module is None:
        yield
        return
    original = module.roi_align

    def roi_align(features: Tensor, rois: Tensor, *settings: Any) -> Tensor:
        if "max" in settings:
            return original(features, rois, *settings)
        result: Tensor = _Pool.apply(features, rois, settings)
        return result

    module.roi_align = roi_align
    try:
        yield
    finally:
        module.roi_align = original


class _Pool(Function):
    """``A x``."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, rois: Tensor, settings: tuple) -> Tensor:
        ctx.rois, ctx.settings, ctx.shape = rois, settings, features.shape
        return _pool(features, rois, settings)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Spread.apply(gradient, ctx.rois, ctx.settings, ctx.shape), None, None


class _Spread(Function):
    """``Aᵀ y``."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, rois: Tensor, settings: tuple, shape: torch.Size) -> Tensor:
        ctx.rois, ctx.settings = rois, settings
        with torch.enable_grad():
            features = gradient.new_zeros(shape).requires_grad_()
            pooled = _pool(features, rois, settings)
        return torch.autograd.grad(pooled, features, gradient)[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Pool.apply(gradient, ctx.rois, ctx.settings), None, None, None


def _pool(features: Tensor, rois: Tensor, settings: tuple) -> Tensor:
    module: Any = sys.modules["mmcv.ops.roi_align"]
    pooled: Tensor = module.RoIAlignFunction.apply(features, rois, *settings)
    return pooled
