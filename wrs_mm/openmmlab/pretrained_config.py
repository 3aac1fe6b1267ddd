"""What a config says of weights that were trained before, and how it is told to start from others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.backbone_weights import backbone_prefix

if TYPE_CHECKING:
    from mmengine.config import Config


def dicts(node: Any) -> Iterator[dict[str, Any]]:
    """All dicts in a nested config, the outer ones first."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from dicts(value)


_NAME_PRETRAINED = ("pretrained", "teacher_ckpt", "load_from", "checkpoint")
"""Keys of a model's description that name trained weights, beside ``init_cfg``; the last is VPD's."""


def _is_pretrained(init: Any) -> bool:
    # PVT's has a checkpoint and no type.
    return isinstance(init, dict) and ("Pretrained" in str(init.get("type")) or "checkpoint" in init)


def names_pretrained(description: Any) -> bool:
    """Whether a model's description refers to weights that were trained before.

    Args:
        description: The value of ``model`` in a config.
    """
    return next(_pretrained(description), None) is not None


def _pretrained(description: Any) -> Iterator[Any]:
    """What a model's description names its trained weights by."""
    for node in dicts(description):
        yield from filter(None, map(node.get, _NAME_PRETRAINED))
        init = node.get("init_cfg")
        for entry in init if isinstance(init, (list, tuple)) else [init]:
            if isinstance(entry, dict) and _is_pretrained(entry):
                yield entry.get("checkpoint") or True


def drop_pretrained(description: Any) -> None:
    """Drop every reference to pretrained weights, in place."""
    for node in dicts(description):
        for key in _NAME_PRETRAINED:
            if isinstance(node.get(key), (str, bool)):
                node[key] = False if node[key] is True else None
        init = node.get("init_cfg")
        if _is_pretrained(init):
            node["init_cfg"] = None
        elif isinstance(init, (list, tuple)):
            node["init_cfg"] = [entry for entry in init if not _is_pretrained(entry)]


def start_from(config: Config, checkpoint: str | Path, prefix: str | None = None) -> None:
    """Have a config's backbone start from a checkpoint, and all else from random weights.

    Args:
        config: Of a model that has a backbone; changed in place.
        checkpoint: A file of a backbone alone, or of a whole model, whose backbone it is then; or an address
            that mmengine loads from.
        prefix: What the names of the backbone's weights begin with in it; empty where it is of a backbone
            alone. None to look into it: a file behind an address is downloaded. Where it is said, the file
            need not be there yet.

    Raises:
        ConfigError: The config's model has no backbone.
        CheckpointError: There is no such file, it cannot be downloaded, or it holds no weights.
    """
    backbone = backbone_of(config)
    if prefix is None:
        prefix = backbone_prefix(checkpoint)
    init = {"type": "Pretrained", "checkpoint": str(checkpoint), **({"prefix": prefix} if prefix else {})}
    start_from_scratch(config)
    backbone["init_cfg"] = init


def start_from_scratch(config: Config) -> None:
    """Have a config's backbone start from random weights, whatever the config says of it.

    Args:
        config: Of a model that has a backbone; changed in place.

    Raises:
        ConfigError: It has none.
    """
    backbone = backbone_of(config)
    # mmengine loads it last, over any backbone.
    config.load_from = None
    if config.model.get("pretrained"):
        config.model.pretrained = None  # mmseg's and mmdet's older way to say the same
    drop_pretrained(backbone)
    backbone.pop("pretrained", None)


def backbone_of(config: Config) -> Any:
    """A config's description of its model's backbone.

    Raises:
        ConfigError: The model has none.
    """
    backbone = (config.get("model") or {}).get("backbone")
    if not isinstance(backbone, Mapping):
        raise ConfigError(f"the model of {config.filename or 'the config'} has no backbone=dict(...)")
    return backbone
