"""The input patches that a layer's filters see: what they are multiplied with, and gradients are made of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def sees_patches(module: nn.Module) -> bool:
    """Whether :func:`patches` knows the layer: ``Conv2d`` and ``Linear``, of torch or mmcv."""
    return isinstance(module, (nn.Conv2d, nn.Linear)) and type(module).__name__ in ("Conv2d", "Linear")


def groups_of(module: nn.Module) -> int:
    """How many groups of filters the layer has, each of which sees channels of its own."""
    return module.groups if isinstance(module, nn.Conv2d) else 1


def patches(module: nn.Module, x: Tensor) -> Tensor:
    """Every patch of an input, in the order of a filter's values.

    Args:
        module: A layer that :func:`sees_patches`.
        x: Its input, ``(N, C, H, W)`` or ``(C, H, W)`` of a convolution, ``(..., C)`` of a linear layer.

    Returns:
        ``(groups, patches, size of a filter)``; zeros where a patch reaches into zero padding.
    """
    if not isinstance(module, nn.Conv2d):
        return x.reshape(1, -1, x.shape[-1])
    if x.dim() == 3:
        x = x[None]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    # What Conv2d itself pads by, also where padding is a word.
    x = F.pad(x, module._reversed_padding_repeated_twice, mode=mode)
    cut = F.unfold(x, module.kernel_size, module.dilation, 0, module.stride)
    images, _, places = cut.shape
    cut = cut.view(images, module.groups, -1, places)
    return cut.permute(1, 0, 3, 2).reshape(module.groups, images * places, -1)


def grouped_filters(module: nn.Module, weight: Tensor) -> Tensor:
    """A weight as ``(groups, filters of a group, size of a filter)``, to go with :func:`patches`."""
    return weight.reshape(groups_of(module), -1, weight[0].numel())
