"""Build any detector or segmentor and feed it a made-up batch, without data and without downloads.

What the audit, the tests and the proof that a recipe trains have in common: a model as the Runner
would build it, with random weights, its loss, and the batch of :mod:`wrs_mm.openmmlab.synthetic_batch`.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wrs_mm.borrowed import kept_buffers, seeded
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import config_path
from wrs_mm.openmmlab.optional_packages import packages_named
from wrs_mm.openmmlab.pretrained import ALLOW_PARTIAL, check_when_initialized
from wrs_mm.openmmlab.pretrained_config import dicts, drop_pretrained
from wrs_mm.openmmlab.synthetic_batch import Empty, random_batch
from wrs_mm.values import one_line

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = [
    "Empty",
    "build_model",
    "quiet",
    "random_batch",
    "smallest_size",
    "train_loss",
]


def build_model(config: Config, *, seed: int = 0, pretrained: bool = False) -> nn.Module:
    """Build a config's model the way a single-process Runner does, ready for a training step.

    Weights are initialized, synchronized BN has become plain BN, and the model is in train mode,
    with the layers frozen that the config freezes. What would enlarge a batch (batch augments, a
    fixed padded size) is left out, so that the size of :func:`random_batch` is what runs.

    Args:
        config: A config of mmdet, mmseg or one that builds on either. It is not changed.
        seed: Makes the weights.
        pretrained: Whether to load the pretrained weights that the config names, which may
            download them. Otherwise every reference to them is dropped.

    Raises:
        ConfigError: There is no model in the config, it cannot be built, or a package that it needs is not
            installed.
        CheckpointError: A checkpoint is missing, or most of what it is for did not match it.
    """
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import MODELS, DefaultScope

    if not isinstance(config.get("model"), Mapping):
        raise ConfigError(f"config {_name(config)} has no model=dict(...)")
    description = copy.deepcopy(config.model)
    if config.get("data_preprocessor") is not None:
        description.setdefault("data_preprocessor", copy.deepcopy(config.data_preprocessor))
    if not pretrained:
        drop_pretrained(description)
    _use_torch_sync_bn(description)
    _keep_batch_size(description)
    _resolve_teacher(description)
    with DefaultScope.overwrite_default_scope(config.get("default_scope")), seeded(seed):
        try:
            with packages_named(config):
                model = MODELS.build(description)
        except (ImportError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
            raise ConfigError(f"the model of {_name(config)} cannot be built: {one_line(error)}") from error
        model = revert_sync_batchnorm(model)
        check_when_initialized(model, bool(config.get(ALLOW_PARTIAL)))
        with quiet():
            model.init_weights()
    model.train()
    return model


def train_loss(model: nn.Module, batch: dict[str, Any], *, seed: int | None = None) -> Tensor:
    """Compute the loss that ``model.train_step`` would take the gradient of.

    Args:
        model: The model.
        batch: What :func:`random_batch` returns. It is not changed.
        seed: Fixes what the forward draws (sampling of RoIs, dropout), leaving the generators as
            they were. None: the forward draws from them as they are.

    Returns:
        The sum of the losses, a scalar.
    """
    _set_progress()
    with seeded(seed) if seed is not None else contextlib.nullcontext():
        data = model.data_preprocessor(copy.deepcopy(batch), training=True)
        losses = model(**data, mode="loss")
        loss, _ = model.parse_losses(losses)
    return loss


_LAST_STRIDE = 32
"""Of a backbone's last features."""


def smallest_size(
    model: nn.Module, *, sizes: Sequence[int] = (128, 256, 512), seed: int = 0
) -> tuple[int, int]:
    """Find the smallest size of image that ``model`` trains on.

    Most take any; some choose more queries than a small image has places (DINO), pool windows
    larger than its features (LR-ASPP) or know the size of their position embedding only (BEiT). The
    loss is tried, and the model's buffers are put back. Re-identification takes one size alone.

    Args:
        model: A detector or a segmentor.
        sizes: Heights (and widths) to try, in pixels; the size that the backbone itself names is
            tried last.
        seed: See :func:`random_batch`.

    Returns:
        Height and width.

    Raises:
        Exception: What the loss raised at the last of the sizes.
    """
    own = getattr(getattr(model, "backbone", None), "img_size", None) or _pooled_size(model)
    candidates = [(size, size) for size in sizes]
    if own is not None:
        candidates.append((own, own) if isinstance(own, int) else (own[0], own[1]))
    for size in candidates:
        try:
            with kept_buffers(model), torch.no_grad():
                train_loss(model, random_batch(model, size=size, seed=seed), seed=seed)
            return size
        except (NotImplementedError, ImportError):
            raise  # an operator or a package is missing, at any size
        except Exception:
            if size == candidates[-1]:
                raise
    raise ValueError("sizes is empty")


def _pooled_size(model: nn.Module) -> tuple[int, int] | None:
    """The image whose last features one pooling window covers, as mmdet's re-identification needs it."""
    window = getattr(getattr(getattr(model, "neck", None), "gap", None), "kernel_size", None)
    return (window[0] * _LAST_STRIDE, window[1] * _LAST_STRIDE) if isinstance(window, tuple) else None


# --- the model -----------------------------------------------------------------------------------


def _name(config: Config) -> str:
    return str(config.filename or "(unnamed)")


def _use_torch_sync_bn(description: Any) -> None:
    # mmcv's needs a process group already when it is built; both become BN right afterwards.
    for node in dicts(description):
        if node.get("type") == "MMSyncBN":
            node["type"] = "SyncBN"


def _keep_batch_size(description: Any) -> None:
    preprocessor = description.get("data_preprocessor")
    if not isinstance(preprocessor, dict):
        return
    preprocessor.pop("batch_augments", None)
    if preprocessor.pop("size", None) is not None:
        preprocessor["size_divisor"] = 1  # mmseg asks for exactly one of the two


def _resolve_teacher(description: Any) -> None:
    """Find the config of a teacher, which mmdet names relative to its own repository."""
    teacher = description.get("teacher_config")
    if isinstance(teacher, (str, Path)) and not Path(teacher).exists():
        name = str(teacher).removeprefix("configs/")
        description["teacher_config"] = str(config_path(f"mmdet::{name}"))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep mmengine from printing one line a parameter while weights are initialized."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _set_progress() -> None:
    """Say that this is the first iteration, as a Runner does; TOOD's and other losses ask."""
    from mmengine.logging import MessageHub

    hub = MessageHub.get_current_instance()
    for key in ("epoch", "iter"):
        if hub.get_info(key) is None:
            hub.update_info(key, 0)
