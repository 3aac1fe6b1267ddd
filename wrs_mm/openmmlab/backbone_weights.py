"""The weights of a backbone in a checkpoint: of it alone or of a whole model, wrapped or not."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab.checkpoints import load_checkpoint_file

PREFIX = "backbone."
"""What the names of a backbone's weights begin with in a checkpoint of a whole model."""

_FILES = ("http", "https")
"""Schemes of addresses that name a file; others name an entry of a collection."""

_WRAPPER = "module."
"""What a process group's wrapper puts before all names."""


def backbone_state(checkpoint: str | Path) -> dict[str, Tensor]:
    """A backbone's weights under its own names, from a checkpoint of it or of a model that has one.

    Raises:
        CheckpointError: There is no such file, or it holds no weights.
    """
    state = _state(checkpoint)
    prefix = _prefix(state)
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def backbone_prefix(checkpoint: str | Path) -> str:
    """What the names of a backbone's weights begin with in a checkpoint; nothing where it holds no more.

    Args:
        checkpoint: A file, or an address. A file behind one is downloaded, once, into torch's cache;
            collections such as ``torchvision://`` are of backbones alone.

    Raises:
        CheckpointError: There is no such file, or it holds no weights.
    """
    scheme, separator, _ = str(checkpoint).partition("://")
    if separator:
        return _prefix_at_address(str(checkpoint)) if scheme in _FILES else ""
    path = Path(checkpoint)
    return _prefix_in_file(path, path.stat().st_mtime_ns if path.exists() else 0)


@functools.lru_cache
def _prefix_in_file(path: Path, written: int) -> str:
    """A plan asks for each of its runs."""
    return _prefix(_state(path))


@functools.lru_cache
def _prefix_at_address(address: str) -> str:
    from mmengine.runner.checkpoint import CheckpointLoader

    return _prefix(
        _weights(CheckpointLoader.load_checkpoint(address, map_location="cpu", logger="silent"), address)
    )


def _prefix(state: Mapping[str, Tensor]) -> str:
    """``backbone.`` of a whole model, after ``module.`` where it was saved in its wrapper."""
    for wrapper in ("", _WRAPPER):
        if any(key.startswith(wrapper + PREFIX) for key in state):
            return wrapper + PREFIX
    return _WRAPPER if all(key.startswith(_WRAPPER) for key in state) else ""


def _state(checkpoint: str | Path) -> dict[str, Tensor]:
    return _weights(load_checkpoint_file(checkpoint, map_location="cpu"), checkpoint)


def _weights(content: Any, checkpoint: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's content."""
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"checkpoint {checkpoint} holds no weights: it is neither a state dict nor one of mmengine's"
        )
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"checkpoint {checkpoint} holds no weights: no entry is a tensor")
    return tensors
