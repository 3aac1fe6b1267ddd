"""Weights that a part of a model starts from: from a checkpoint, named in a config, checked when loaded.

mmengine loads an ``init_cfg`` of type ``Pretrained``, and ``load_from``, with ``strict=False``: names that
do not fit are a warning that scrolls by, and the part trains from random weights. Here it is counted what was
loaded, as it is loaded: with a prefix or none, and also where a backbone loads by itself and renames (Swin,
MiT, BEiT). A line says what matched, and a training of whose pretrained part most did not match does not
begin.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log
from torch import Tensor, nn

from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab.backbone_weights import PREFIX
from wrs_mm.values import error_line, type_name

if TYPE_CHECKING:
    from mmengine.runner import Runner

ALLOW_PARTIAL = "allow_partial"
"""The key of a config that lets a training begin although most of a pretrained part did not match."""

_MOST = 2 / 3
"""More than this share of a part's weights is most of it.

Counted are numbers and not tensors, of which most are BN's small ones. By names that agree by accident, 48 %
of a ResNet-50's numbers come from a ResNet-34's checkpoint, and 55 % of a ResNet-101's from a ResNet-50's; a
ResNet-50 with deformable convolutions or context blocks finds 70 % and more in its own.
"""

_COUNTER = "num_batches_tracked"
"""A buffer of BN that nothing here reads, and that older checkpoints do not have."""

_STATISTICS = (".running_mean", ".running_var")
"""What the names of BN's running statistics end with: few numbers, and not parameters, so not counted."""

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
        counted: How many numbers each of its parameters has, of which most must match.
        matched: Those that the checkpoint has, in the same shape.
        reshaped: Those that it has in another shape.
        unused: Names in the checkpoint that are not the part's, but for a classifier's.
        counts: What is counted, in words.
    """

    part: str
    checkpoint: str
    wanted: frozenset[str]
    counted: Mapping[str, int]
    matched: set[str] = field(default_factory=set)
    reshaped: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    counts: str = "its weights"

    @property
    def missing(self) -> set[str]:
        """Names that stay as they were initialized."""
        return set(self.wanted) - self.matched

    @property
    def share(self) -> float:
        """The part of the counted numbers that matched, from 0 to 1."""
        total = sum(self.counted.values())
        return (
            sum(self.counted[name] for name in self.matched & self.counted.keys()) / total if total else 1.0
        )

    @property
    def is_most(self) -> bool:
        """Whether more than two thirds of the part matched."""
        return self.share > _MOST

    @property
    def lacks_statistics(self) -> bool:
        """Whether no running statistics of its BN matched, so that where BN is frozen it does nothing."""
        statistics = {name for name in self.wanted if name.endswith(_STATISTICS)}
        return bool(statistics) and not statistics & self.matched

    def __str__(self) -> str:
        part = self.part or "model"
        # Rounded down: 100 % is all.
        share = f"{math.floor(100 * self.share)} % of {self.counts}"
        line = f"{part}: {len(self.matched)} of {len(self.wanted)} tensors ({share}) from {self.checkpoint}"
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


def check_pretrained(runner: Runner, allow_partial: bool = False) -> None:
    """Have a runner that is to train say, and check, what its model takes from checkpoints.

    By :func:`check_when_initialized` and :func:`check_when_loaded`.
    """
    check_when_initialized(runner.model, allow_partial)
    check_when_loaded(runner, allow_partial)


def check_when_initialized(model: nn.Module, allow_partial: bool = False) -> None:
    """Have a model that was built say, when its weights are initialized, what its pretrained parts matched.

    Its ``init_weights`` then raises CheckpointError where a part did not take most of its weights.

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
            _say("pretrained", match)
        for match in matches:
            if not allow_partial:
                _require_most("pretrained", match, f"correct checkpoint or prefix in init_cfg, or, {_GO_ON}")

    model.init_weights = init_weights


_GO_ON = (
    f"to train it so, set {ALLOW_PARTIAL}=True in the config (wrs-mm train: --allow-partial; a plan: in a "
    "recipe's cfg_options)"
)


def check_when_loaded(runner: Runner, allow_partial: bool = False, *, to_train: bool = True) -> None:
    """Have a runner say what of its model matched a checkpoint that it loads, by ``load_from`` or to resume.

    Its ``load_checkpoint`` then raises CheckpointError where most of the backbone did not, or, of a model
    that has none or is not trained, most of the model.

    Args:
        runner: Before it loads anything.
        allow_partial: Go on all the same.
        to_train: Whether the model is trained from there: a new head is what one trains then.
    """
    from mmengine.model import is_model_wrapper

    load = runner.load_checkpoint

    def load_checkpoint(filename: str, *args: Any, **options: Any) -> Any:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        with loading(model, filename, allow_partial, to_train=to_train):
            return load(filename, *args, **options)

    runner.load_checkpoint = load_checkpoint


@contextmanager
def loading(
    model: nn.Module, checkpoint: str | Path, allow_partial: bool = False, *, to_train: bool = True
) -> Iterator[None]:
    """Say what of a model matches a checkpoint that the block loads into all of it.

    Args:
        model: No wrapper around it.
        checkpoint: What is loaded.
        allow_partial: As in :func:`check_when_loaded`.
        to_train: As in :func:`check_when_loaded`.

    Raises:
        CheckpointError: Most did not match.
    """
    match = _unmatched("", model, checkpoint)
    backbone = {name: size for name, size in match.counted.items() if name.startswith(PREFIX)}
    if to_train and backbone:
        match.counted, match.counts = backbone, "its backbone's weights"
    with _counted([(model, match)]) as loads:
        yield
    # A strategy that loads in another way, in pieces, is not judged.
    if loads:
        _say("loaded", match)
        if not allow_partial:
            advice = f"correct load_from, or, {_GO_ON}" if to_train else "give a checkpoint of this model"
            _require_most("loaded", match, advice)


def _say(how: str, match: Match) -> None:
    """Write down what matched: what did not, as a warning."""
    print_log(f"{how} {match}", "current", logging.WARNING if match.missing else logging.INFO)


def _require_most(how: str, match: Match, advice: str) -> None:
    """Refuse a part that did not take most of its weights from its checkpoint.

    Raises:
        CheckpointError: It did not.
    """
    if not match.is_most:
        of = "nothing" if not match.matched else "less than most"
        raise CheckpointError(f"{how} {match}: {of} of it matched; {advice}")
    if match.lacks_statistics:
        raise CheckpointError(f"{how} {match}: no running statistics of BN matched; {advice}")


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
        (module, _unmatched(name, module, checkpoint))
        for name, module, checkpoint in _pretrained_parts(model)
    ]
    found: list[Match] = []
    with _counted(parts) as loads:
        yield found
    found += [match for _, match in parts if any(match is load for load in loads)]


def _unmatched(part: str, module: nn.Module, checkpoint: Any) -> Match:
    """What a part of a model, before it loads anything, wants from its checkpoint."""
    counted = {name: parameter.numel() for name, parameter in module.named_parameters()}
    return Match(part, str(checkpoint), _names(module), counted)


@contextmanager
def _counted(parts: list[tuple[nn.Module, Match]]) -> Iterator[list[Match]]:
    """Note in the matches what their modules load while the block runs.

    Yields:
        A list of those that have loaded, as they do.
    """
    loads: list[Match] = []
    handles = []
    for top, match in parts:
        for name, module in top.named_modules():
            note = partial(_note, match, f"{name}." if name else "", loads)
            handles.append(module.register_load_state_dict_pre_hook(note))
    try:
        yield loads
    finally:
        for handle in handles:
            handle.remove()


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
