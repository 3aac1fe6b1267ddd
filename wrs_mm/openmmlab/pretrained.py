"""Weights that a part of a model starts from: from a checkpoint, named in a config, checked when loaded.

mmengine loads an ``init_cfg`` of type ``Pretrained`` with ``strict=False``: names that do not fit are a
warning that scrolls by, and the part trains from random weights. Here it is counted what was loaded, as it is
loaded: with a prefix or none, and also where a backbone loads by itself and renames (Swin, MiT, BEiT). A line
says what matched, and a training of whose pretrained part most did not match does not begin.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab.checkpoints import load_checkpoint_file
from wrs_mm.values import error_line, type_name

ALLOW_PARTIAL = "allow_partial"
"""The key of a config that lets a training begin although most of a pretrained part did not match."""

PREFIX = "backbone."
"""What the names of a backbone's weights begin with in a checkpoint of a whole model."""

_MOST = 0.5
"""More than this share of a part's tensors is most of it."""

_COUNTER = "num_batches_tracked"
"""A buffer of BN that nothing here reads, and that older checkpoints do not have."""

_CLASSIFIER = ("fc.", "head.", "classifier.")
"""What a classifier's own weights begin with: nobody misses them in a detector."""


_KINDS = ("", "Pretrained", "PretrainedInit")
"""What an ``init_cfg`` that names a checkpoint is of; mmdet's PVT leaves it out."""


@dataclass
class Match:
    """What a part of a model took from its checkpoint.

    Attributes:
        part: The part's name in the model; empty for the whole.
        checkpoint: The file or address.
        wanted: Names of the part's parameters and buffers.
        matched: Those that the checkpoint has, in the same shape.
        reshaped: Those that it has in another shape.
        unused: Names in the checkpoint that are not the part's, but for a classifier's.
    """

    part: str
    checkpoint: str
    wanted: frozenset[str]
    matched: set[str] = field(default_factory=set)
    reshaped: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)

    @property
    def missing(self) -> set[str]:
        """Names that stay as they were initialized."""
        return set(self.wanted) - self.matched

    @property
    def is_most(self) -> bool:
        """Whether more than half of the part matched."""
        return len(self.matched) > _MOST * len(self.wanted)

    def __str__(self) -> str:
        part = self.part or "model"
        line = f"{part}: {len(self.matched)} of {len(self.wanted)} tensors from {self.checkpoint}"
        if self.missing - self.reshaped:
            line += f"; not in it: {_some(self.missing - self.reshaped)}"
        if self.reshaped:
            line += f"; of another shape: {_some(self.reshaped)}"
        if self.unused:
            line += f"; in it and not used: {_some(self.unused)}"
        return line


def _some(names: set[str], most: int = 3) -> str:
    listed = sorted(names)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + rest


# --- counting what is loaded ---------------------------------------------------------------------


def check_when_initialized(model: nn.Module, allow_partial: bool = False) -> None:
    """Have a model that was built say, when its weights are initialized, what its pretrained parts matched.

    Its ``init_weights`` then raises CheckpointError where a part did not take most of its tensors.

    Args:
        model: As a Runner builds it; one that a process group wraps is looked into.
        allow_partial: Go on all the same.
    """
    from mmengine.model import is_model_wrapper

    model = model.module if is_model_wrapper(model) else model
    initialize = getattr(model, "init_weights", None)
    if initialize is None or not list(_pretrained_parts(model)):
        return

    def init_weights() -> None:
        # Once: what is left behind is the model as it was.
        del model.init_weights
        with watched(model) as matches, _in_one_line(model):
            initialize()
        for match in matches:
            whole = match.matched == match.wanted
            print_log(f"pretrained {match}", "current", logging.INFO if whole else logging.WARNING)
        for match in matches:
            _require_most(match, allow_partial)

    model.init_weights = init_weights


def _require_most(match: Match, allow_partial: bool = False) -> None:
    """Refuse a part that did not take most of its tensors from its checkpoint.

    Raises:
        CheckpointError: It did not.
    """
    if match.is_most or allow_partial:
        return
    of = "nothing" if not match.matched else "less than most"
    raise CheckpointError(
        f"pretrained {match}: {of} of it matched; correct checkpoint or prefix in init_cfg, or, to train it "
        f"so, add --allow-partial ({ALLOW_PARTIAL}=True in the config)"
    )


@contextmanager
def _in_one_line(model: nn.Module) -> Iterator[None]:
    """Say in one line that a checkpoint is of something else, which loaders say in many ways.

    mmengine asserts that some name begins with the prefix; torch names all shapes that differ; Swin asks for
    the first of the names that it takes, and there is none.

    Raises:
        CheckpointError: So it is.
    """
    try:
        yield
    except (AssertionError, IndexError, KeyError, RuntimeError) as error:
        files = ", ".join(dict.fromkeys(str(checkpoint) for _, _, checkpoint in _pretrained_parts(model)))
        if "is not in the pretrained model" in str(error):
            prefix = str(error).split()[0]
            raise CheckpointError(
                f"pretrained: nothing matched: no name in {files} begins with {prefix!r}; correct prefix in "
                "init_cfg, or leave it out"
            ) from error
        if isinstance(error, (AssertionError, RuntimeError)) and "state_dict" not in str(error):
            raise
        raise CheckpointError(
            f"pretrained: the weights in {files} are not this model's: {error_line(error)}"
        ) from error


@contextmanager
def watched(model: nn.Module) -> Iterator[list[Match]]:
    """Count what the pretrained parts of a model load while the block runs.

    Yields:
        A list that, after the block, has a match for each part that loaded anything.
    """
    parts = [
        (module, Match(name, str(checkpoint), _names(module)))
        for name, module, checkpoint in _pretrained_parts(model)
    ]
    loads: list[Match] = []
    handles = []
    for top, match in parts:
        for name, module in top.named_modules():
            note = partial(_note, match, f"{name}." if name else "", loads)
            handles.append(module.register_load_state_dict_pre_hook(note))
    found: list[Match] = []
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    found += [match for _, match in parts if any(match is load for load in loads)]


def _note(
    match: Match,
    own: str,
    loads: list[Match],
    module: nn.Module,
    state: Mapping[str, Any],
    prefix: str,
    *_: Any,
) -> None:
    """Note which tensors of a module a state dict has, under the names that it loads them by.

    Args:
        match: Of the part.
        own: The module's prefix in the part; another one is a load of something larger.
        loads: Every part that loads is added to it.
        module: The module.
        state: What is loaded.
        prefix: The module's prefix in it.
        *_: What else such a hook is given.
    """
    if prefix != own:
        return
    if not own:
        loads.append(match)
        match.matched, match.reshaped = set(), set()
        match.unused = {
            name
            for name in state
            if name not in match.wanted and not name.startswith(_CLASSIFIER) and _COUNTER not in name
        }
    for name, tensor in (*module._parameters.items(), *module._buffers.items()):
        full = f"{own}{name}"
        if full not in match.wanted or tensor is None:
            continue
        match.unused.discard(full)
        value = state.get(full)
        if value is not None:
            same = not isinstance(value, Tensor) or value.shape == tensor.shape
            (match.matched if same else match.reshaped).add(full)


def _names(module: nn.Module) -> frozenset[str]:
    return frozenset(name for name in module.state_dict() if is_weight(name))


def is_weight(name: str) -> bool:
    """Whether a name in a state dict is of something that a checkpoint is asked for."""
    return _COUNTER not in name


def _pretrained_parts(model: nn.Module) -> Iterator[tuple[str, nn.Module, Any]]:
    """Name, module and checkpoint of every part that names one in its ``init_cfg``."""
    for name, module in model.named_modules():
        inits = getattr(module, "init_cfg", None)
        for init in inits if isinstance(inits, (list, tuple)) else [inits]:
            # Of another kind, such as mmseg's Pretrained_Part, a small part may be what is meant.
            if not isinstance(init, Mapping) or type_name(init.get("type", "")) not in _KINDS:
                continue
            if init.get("checkpoint"):
                yield name, module, init["checkpoint"]
                break


# --- the weights in a checkpoint ------------------------------------------------------------------


def backbone_state(checkpoint: str | Path) -> dict[str, Tensor]:
    """A backbone's weights under its own names, from a checkpoint of it or of a model that has one.

    Raises:
        CheckpointError: There is no such file, or it holds no weights.
    """
    state = _state(checkpoint)
    if not _is_whole(state):
        return state
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}


def _state(checkpoint: str | Path) -> dict[str, Tensor]:
    content = load_checkpoint_file(checkpoint, map_location="cpu")
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"checkpoint {checkpoint} holds no weights: it is neither a state dict nor one of mmengine's"
        )
    tensors = {k.removeprefix("module."): v for k, v in state.items() if isinstance(v, Tensor)}
    if not tensors:
        raise CheckpointError(f"checkpoint {checkpoint} holds no weights: no entry is a tensor")
    return tensors


def is_whole_model(checkpoint: str | Path) -> bool:
    """Whether a checkpoint is of a model that has a backbone, and not of a backbone alone.

    Raises:
        CheckpointError: There is no such file, or it holds no weights.
    """
    path = Path(checkpoint)
    return _is_whole_file(path, path.stat().st_mtime_ns if path.exists() else 0)


@functools.lru_cache
def _is_whole_file(path: Path, written: int) -> bool:
    """A plan asks for each of its runs."""
    return _is_whole(_state(path))


def _is_whole(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith(PREFIX) for key in state)
