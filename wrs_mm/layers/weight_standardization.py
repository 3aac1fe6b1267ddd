"""A model whose scale-invariant convolutions standardize their weight (Qiao et al., arXiv 1903.10520)."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from wrs_mm.errors import ModelError
from wrs_mm.layers.description import refuse_pretrained
from wrs_mm.openmmlab.synthetic import build_model, random_batch, smallest_size, train_loss
from wrs_mm.rescaling import judge, observe
from wrs_mm.rescaling.models import unwrap

STANDARDIZED = "WeightStandardized"
"""What a config's ``model.type`` says."""

_EPS = 1e-5
"""Added to a filter's standard deviation: mmcv's default, and the authors' value."""


@MODELS.register_module(name=STANDARDIZED)
def weight_standardized(of: str, **model: Any) -> nn.Module:
    """Build a model and make its scale-invariant convolutions mmcv's ConvWS2d.

    Which ones they are does not depend on weights or data: a copy of the model on the CPU is watched in one
    training forward of made-up images. So training, test and each process find the same.

    Args:
        of: The model's own type.
        **model: Its other keys.

    Raises:
        ModelError: No convolution of it can be standardized, or it starts from pretrained weights.
    """
    refuse_pretrained(model, "ws")
    description = {"type": of, **model}
    names = _scale_invariant(description)
    built: nn.Module = MODELS.build(description)
    if not standardize(built, names):
        raise ModelError(
            f"ws: no plain convolution of this {of} is scale-invariant; `wrs-mm audit CONFIG` of the recipe "
            "says why"
        )
    return built


def standardize(model: nn.Module, weights: set[str]) -> list[str]:
    """Make convolutions standardize their weight, in place; parameters keep their names and values.

    Layers that ConvWS2d cannot stand in for are left as they are: subclasses of Conv2d, padding other than
    zeros, and filters of one number, which have no standard deviation.

    Args:
        model: The model.
        weights: Names of the weights that are to be standardized.

    Returns:
        Those that are.
    """
    from mmcv.cnn.bricks.conv_ws import ConvWS2d

    done = []
    for name, module in model.named_modules():
        weight = f"{name}.weight"
        plain = type(module) is nn.Conv2d and module.padding_mode == "zeros"
        if plain and weight in weights and module.weight[0].numel() > 1:
            # A new module in its place would have to be known to whoever holds the old one.
            module.__class__ = ConvWS2d
            module.eps = _EPS
            done.append(weight)
    return done


def _scale_invariant(description: dict[str, Any]) -> set[str]:
    """Names of the scale-invariant weights of a model's description."""
    scope = DefaultScope.get_current_instance()
    config = Config({"model": description, "default_scope": scope.scope_name if scope else None})
    model = unwrap(build_model(config))
    batch = random_batch(model, size=smallest_size(model))
    with observe(model) as observation:
        train_loss(model, batch, seed=0)
    return {verdict.name for verdict in judge(observation) if verdict.scale_invariant}
