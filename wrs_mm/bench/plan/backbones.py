"""The backbones of configs: whether one may start from another, and where weights of one are kept."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.optional_packages import packages_named
from wrs_mm.openmmlab.pretrained import is_weight
from wrs_mm.openmmlab.pretrained_config import backbone_of, drop_pretrained
from wrs_mm.values import one_line

if TYPE_CHECKING:
    from mmengine.config import Config

Shapes: TypeAlias = "dict[str, tuple[int, ...]]"
"""Shape of each parameter and buffer by its name."""

STORE = Path("work_dirs", "pretrained")
"""Where pretrainings are, each in a folder that its resolved config's hash names: plans find what they need,
whatever they call it. Like ``data/`` it is relative, to the folder that a benchmark is run in, so that
configs which name a file in it are the same on every machine."""

WEIGHTS = "backbone.pt"
"""The backbone's weights in such a folder, written when its training has ended. Checkpoints, which end in
``.pth``, are what a training goes on from."""


def weights_of(pretraining: RunSpec) -> Path:
    """The file that a pretraining leaves its backbone in."""
    assert pretraining.pretraining is not None, "it is a pretraining, and so has an address"
    return STORE / pretraining.pretraining / WEIGHTS


def backbone_shapes(config: Config) -> Shapes:
    """What a checkpoint of the config's backbone holds.

    Raises:
        ConfigError: The model has no backbone, or it cannot be built.
    """
    from mmengine.registry import MODELS, DefaultScope

    backbone = copy.deepcopy(backbone_of(config))
    drop_pretrained(backbone)
    with DefaultScope.overwrite_default_scope(config.get("default_scope")), torch.device("meta"):
        try:
            with packages_named(config):
                module = MODELS.build(backbone)
        except (ImportError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"its backbone cannot be built: {one_line(error)}") from error
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items() if is_weight(name)}
