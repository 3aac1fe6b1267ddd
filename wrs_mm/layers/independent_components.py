"""Residual blocks with independent-component layers (Chen et al., arXiv 1905.05928): BN and dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wrs_mm.errors import ModelError
from wrs_mm.layers.description import refuse_pretrained

INDEPENDENT = "IndependentComponents"
"""What a config's ``model.type`` says."""


class IndependentConv2d(nn.Conv2d):
    """A convolution whose input goes through an independent-component layer: BN, then dropout.

    Made of a convolution in place, by :func:`insert`, which gives it ``ic_norm`` and ``ic_dropout``. mmengine
    initializes it as a Conv2d, whose direct subclass it is.
    """

    ic_norm: nn.Module
    ic_dropout: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of what the independent-component layer makes of the input."""
        return super().forward(self.ic_dropout(self.ic_norm(x)))


@MODELS.register_module(name=INDEPENDENT)
def independent_components(of: str, p: float = 0.05, **model: Any) -> nn.Module:
    """Build a model, and put independent-component layers into its residual blocks.

    Args:
        of: The model's own type.
        p: Share of the values that each layer sets to zero.
        **model: The model's other keys.

    Raises:
        ModelError: It has no residual block of mmdet's or mmseg's ResNet, or one whose BN is frozen, or it
            starts from pretrained weights.
    """
    refuse_pretrained(model, "ic")
    built: nn.Module = MODELS.build({"type": of, **model})
    frozen = next((name for name, module in built.named_modules() if _is_frozen(module)), None)
    if frozen is not None:
        raise ModelError(
            f"ic: {frozen} freezes BN, and a layer that is new has no statistics to keep; "
            "set norm_eval=False and frozen_stages=-1"
        )
    if not insert(built, p):
        raise ModelError(
            f"ic: this {of} has no residual block that it fits (BasicBlock or Bottleneck of mmdet's or "
            "mmseg's ResNet, with BN and plain convolutions)"
        )
    return built


def insert(model: nn.Module, p: float) -> list[str]:
    """Put independent-component layers into the residual blocks of a model, in place.

    In a block, what was convolution → BN becomes BN → dropout → convolution; activations, the shortcut and
    its own BN stay. So each convolution of the branch takes what an activation gave, through such a layer.

    Args:
        model: The model.
        p: Share of the values that each layer sets to zero.

    Returns:
        Names of the blocks.
    """
    done = []
    for name, block in model.named_modules():
        pairs = list(_pairs(block))
        for conv, norm_name in pairs:
            norm = getattr(block, norm_name)
            conv.__class__ = IndependentConv2d
            conv.ic_norm = type(norm)(conv.in_channels, eps=norm.eps, momentum=norm.momentum)
            for parameter, of in zip(conv.ic_norm.parameters(), norm.parameters(), strict=True):
                parameter.requires_grad = of.requires_grad
            conv.ic_dropout = nn.Dropout(p)
            setattr(block, norm_name, nn.Identity())
        if pairs:
            done.append(name)
    return done


def _pairs(block: nn.Module) -> Iterator[tuple[nn.Conv2d, str]]:
    """The convolutions of a residual block, with the name of the BN after each; none of other modules."""
    if not _is_residual(block):
        return
    found = []
    for number in (1, 2, 3):
        conv, norm = getattr(block, f"conv{number}", None), getattr(block, f"norm{number}_name", None)
        if conv is None and number == 3:
            break
        if type(conv) is not nn.Conv2d or norm is None or not isinstance(getattr(block, norm), _BatchNorm):
            return
        found.append((conv, norm))
    yield from found


def _is_residual(block: nn.Module) -> bool:
    """Whether it computes what BasicBlock or Bottleneck of a toolbox's ResNet does."""
    forward = type(block).forward
    return forward.__qualname__ in ("BasicBlock.forward", "Bottleneck.forward") and forward.__module__ in (
        "mmdet.models.backbones.resnet",
        "mmseg.models.backbones.resnet",
    )


def _is_frozen(module: nn.Module) -> bool:
    return bool(getattr(module, "norm_eval", False)) or getattr(module, "frozen_stages", -1) >= 0
