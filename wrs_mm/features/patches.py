"""The input patches that a layer's filters see: what they are multiplied with, and gradients are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STANDARDIZING = ("ConvWS2d", "ConvAWS2d")
"""Convolutions that standardize their weight, by the name of their class in mmcv."""


def sees_patches(module: nn.Module) -> bool:
    """Whether :func:`patches` knows the layer: ``Conv2d``, standardized or not, and ``Linear``."""
    known = ("Conv2d", "Linear", *_STANDARDIZING)
    return isinstance(module, (nn.Conv2d, nn.Linear)) and type(module).__name__ in known


def owners(model: nn.Module, weight: str) -> list[nn.Module]:
    """The modules whose ``weight`` is a parameter of this name."""
    parameter = model.get_parameter(weight)
    return [module for module in model.modules() if getattr(module, "weight", None) is parameter]


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


def reach(module: nn.Module, x: Tensor) -> Tensor:
    """The directions in which a gradient can move a filter, beside its own.

    A gradient is a sum of patches. Where the layer standardizes its weight, the filter's mean is taken from
    it first, so that the vector of ones is such a direction too; its own is one, by which no share of the
    filter changes.

    Args:
        module: A layer that :func:`sees_patches`.
        x: As in :func:`patches`.

    Returns:
        ``(groups, directions, size of a filter)``.
    """
    found = patches(module, x)
    if type(module).__name__ not in _STANDARDIZING:
        return found
    return torch.cat([found, torch.ones_like(found[:, :1])], dim=1)


def grouped_filters(module: nn.Module, weight: Tensor) -> Tensor:
    """A weight as ``(groups, filters of a group, size of a filter)``, to go with :func:`patches`."""
    return weight.reshape(groups_of(module), -1, weight[0].numel())
