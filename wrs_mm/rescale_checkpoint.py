"""Put a checkpoint's scale-invariant filters to a target norm, and keep its function.

Every filter that feeds batch normalization is multiplied so that its norm is the target, and the BN's running
statistics are folded, so that the network in eval mode computes what it computed before. What changes is how
fast the filters turn in the training that begins there: a backbone pretrained with weight decay and one
pretrained with WRS can so be compared from filters of equal norm.

A checkpoint may be of the config's whole model, or of its backbone alone, with the names that the backbone
itself has (as torchvision's classification checkpoints) or with ``backbone.`` before them (mmpretrain's).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wrs_mm.errors import CheckpointError, OptionError
from wrs_mm.files import open_atomically
from wrs_mm.openmmlab.checkpoints import load_checkpoint_file
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.protection.random_state_hook import RANDOM_STATES
from wrs_mm.openmmlab.synthetic import build_model, random_batch, smallest_size, train_loss
from wrs_mm.rescaling import Verdict, WeightRescaler
from wrs_mm.rescaling.functional import number_of_filters
from wrs_mm.values import one_line

_TRAINING_STATE = ("optimizer", "param_schedulers", "message_hub", "ema_state_dict", RANDOM_STATES)
"""What a checkpoint holds to go on with a training: momentum and averages are of the old norms."""

_NOT_IN_OLD_CHECKPOINTS = "num_batches_tracked"
"""PyTorch 0.4.1 added this buffer; torchvision's files are older, and nothing here reads it."""


@dataclass(frozen=True)
class Rescaled:
    """What was done to a checkpoint.

    Attributes:
        num_weights: Number of convolution and linear weights that the checkpoint holds.
        rescaled: The verdicts on those that were rescaled.
        filters: Number of their filters.
        filters_skipped: By reason, how many of these filters were left as they were.
        weights_skipped: By name, why a weight was left as it was.
        other_tensors: Keys of tensors that are not part of the config's model; left as they were.
        dropped: Parts of the checkpoint that no longer fit.
    """

    num_weights: int
    rescaled: tuple[Verdict, ...]
    filters: int
    filters_skipped: dict[str, int]
    weights_skipped: dict[str, str]
    other_tensors: tuple[str, ...]
    dropped: tuple[str, ...]


def rescale_checkpoint(
    config: str | Path,
    checkpoint: str | Path,
    out: str | Path,
    *,
    target: str | float = "unit",
    granularity: str = "filter",
    force: bool = False,
) -> Rescaled:
    """Write a checkpoint whose scale-invariant filters have the target norm, in the format of the old one.

    Args:
        config: Whose model, or whose model's backbone, the checkpoint is of.
        checkpoint: A file, or an address that mmengine loads from, such as ``torchvision://resnet50``.
        out: The file to write.
        target: ``'unit'``, or a number > 0.
        granularity: ``'filter'``, ``'group'`` or ``'layer'``.
        force: Overwrite ``out``.

    Raises:
        OptionError: ``out`` cannot be written, or an option's value is out of its range.
        ConfigError: The config cannot be read or its model not be built.
        CheckpointError: The checkpoint cannot be read, or is not of this model.
        ModelError: Nothing in the model is scale-invariant.
    """
    out = Path(out)
    _check_out(checkpoint, out, force)
    model = build_model(load_config(config))
    content = read_checkpoint(checkpoint)
    state = content.get("state_dict", content)
    names = match_names(
        state, model.state_dict(), f"checkpoint {checkpoint} does not fit the model of {config}"
    )
    rescaler = _find_weights(model, target, granularity)

    done = rescale_state(state, names, rescaler)
    dropped = tuple(key for key in _TRAINING_STATE if key in content)
    for key in dropped:
        del content[key]
    with open_atomically(out, "wb") as stream:
        torch.save(content, stream)
    return Rescaled(
        **done,
        other_tensors=tuple(k for k, v in state.items() if k not in names and _is_tensor(v)),
        dropped=dropped,
    )


def _check_out(checkpoint: str | Path, out: Path, force: bool) -> None:
    """Raise OptionError unless ``out`` can be written and nothing is lost by it."""
    if not out.parent.is_dir():
        raise OptionError(f"there is no folder {out.parent} to write {out.name} to; make it first")
    if out.is_dir():
        raise OptionError(f"{out} is a folder; give the path of the file to write")
    if out.exists() and Path(checkpoint).exists() and out.samefile(checkpoint):
        raise OptionError(f"{out} is the checkpoint itself; give another path for the rescaled one")
    if out.exists() and not force:
        raise OptionError(f"{out} exists; give another path, or --force to overwrite it")


def read_checkpoint(checkpoint: str | Path) -> dict[str, Any]:
    """Load a checkpoint of mmengine or a bare state dict.

    Raises:
        CheckpointError: It cannot be read, or is neither.
    """
    if "://" in str(checkpoint):
        from mmengine.runner import CheckpointLoader

        try:
            content = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu")
        except (OSError, KeyError) as error:
            raise CheckpointError(f"checkpoint {checkpoint} cannot be loaded: {one_line(error)}") from error
    else:
        content = load_checkpoint_file(checkpoint, map_location="cpu")
    if not isinstance(content, dict) or not isinstance(content.get("state_dict", content), dict):
        raise CheckpointError(
            f"checkpoint {checkpoint} holds no weights: it is neither a state dict nor one of mmengine's"
        )
    return content


def match_names(state: Mapping[str, Any], model: Mapping[str, Tensor], misfit: str) -> dict[str, str]:
    """Find the name in the model of each tensor of a checkpoint.

    Args:
        state: The checkpoint's state dict.
        model: The model's.
        misfit: How an error begins.

    Returns:
        The model's name by the checkpoint's key, for all tensors that are part of the model. They are whole
        parts of it: all of the backbone, of the neck, of a head, or nothing of it.

    Raises:
        CheckpointError: No such reading of the checkpoint exists.
    """
    readings = []
    for prefix in ("", "backbone."):
        named = {key: prefix + key.removeprefix("module.") for key, v in state.items() if _is_tensor(v)}
        readings.append({key: name for key, name in named.items() if name in model})
    names = max(readings, key=len)
    if not names:
        raise CheckpointError(f"{misfit}: none of its keys is a weight of the model or of its backbone")
    for key, name in names.items():
        if state[key].shape != model[name].shape:
            shapes = f"{tuple(state[key].shape)}, the model's {tuple(model[name].shape)}"
            raise CheckpointError(f"{misfit}: the shape of its {key} is {shapes}")
    present = set(names.values())
    parts = {name.partition(".")[0] for name in present}
    for name in model:
        part = name.partition(".")[0]
        if part in parts and name not in present and not name.endswith(_NOT_IN_OLD_CHECKPOINTS):
            raise CheckpointError(f"{misfit}: it has weights of the model's {part}, but no {name}")
    return names


def _is_tensor(value: Any) -> bool:
    """Whether an entry of a state dict is a tensor; some modules keep more there."""
    return isinstance(value, Tensor)


def _find_weights(model: nn.Module, target: str | float, granularity: str) -> WeightRescaler:
    """A rescaler that knows the model's scale-invariant weights, those before frozen BN included.

    Raises:
        OptionError: An option's value is out of its range.
        ModelError: There are none.
    """
    # The layers that a recipe freezes were trained by whoever made the checkpoint.
    model.requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)  # the rescaler's; it makes no step
    rescaler = WeightRescaler(model, optimizer, target=target, granularity=granularity, frozen_bn="fold")
    batch = random_batch(model, size=smallest_size(model))
    with rescaler.observing():
        train_loss(model, batch, seed=0)
    return rescaler


def rescale_state(
    state: dict[str, Any], names: Mapping[str, str], rescaler: WeightRescaler
) -> dict[str, Any]:
    """Rescale and fold the tensors of a state dict, in place; computed in float64, kept in their own types.

    Args:
        state: The state dict.
        names: From :func:`match_names`.
        rescaler: From :func:`_find_weights`; its model's weights become the state's.

    Returns:
        The first five attributes of :class:`Rescaled`.
    """
    model = rescaler.invariant_weights.model.double()
    model.load_state_dict({name: state[key] for key, name in names.items()}, strict=False)
    present = set(names.values())
    verdicts = [v for v in rescaler.invariant_weights.verdicts if v.name in present]
    chosen = [v for v in verdicts if v.selected and _statistics_of(v, rescaler) <= present]
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in {v.name for v in chosen})  # a rescaler leaves the others alone
    if chosen:
        rescaler.rescale()
    with torch.no_grad():
        for key, value in _state_of(model, names).items():
            state[key] = value.to(state[key].dtype)
    kept = {v.name: v.reason for v in verdicts if v not in chosen}
    for verdict in verdicts:
        if verdict.selected and verdict not in chosen:
            kept[verdict.name] = "the batch normalization that it feeds is not in the checkpoint"
    return {
        "num_weights": len(verdicts),
        "rescaled": tuple(chosen),
        "filters": sum(number_of_filters(v.shape, v.transposed_groups) for v in chosen),
        "filters_skipped": rescaler.skipped,
        "weights_skipped": kept,
    }


def _statistics_of(verdict: Verdict, rescaler: WeightRescaler) -> set[str]:
    """Names of the buffers that are folded when a weight is rescaled."""
    observation = rescaler.invariant_weights.observation
    assert observation is not None  # there are verdicts
    facts = [observation.norms[layer] for layer in verdict.norm_layers if layer in observation.norms]
    return {name for f in facts for name in (f.mean, f.var) if name is not None}


def _state_of(model: nn.Module, names: Mapping[str, str]) -> dict[str, Tensor]:
    """The model's state under the checkpoint's keys."""
    state = model.state_dict()
    return {key: state[name] for key, name in names.items()}
