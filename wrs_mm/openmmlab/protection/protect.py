"""What protects a training, added to its config and to its runner."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log

from wrs_mm.openmmlab.pretrained_config import dicts
from wrs_mm.openmmlab.protection.checkpoint_hook import SafeCheckpointHook
from wrs_mm.openmmlab.protection.random_state_hook import RandomStateHook
from wrs_mm.openmmlab.protection.same_buffers_hook import SameBuffersHook
from wrs_mm.openmmlab.protection.sample_seeds import seed_samples
from wrs_mm.values import type_name

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

_CACHING = ("CachedMosaic", "CachedMixUp")
"""Those of mmdet: what they keep is in no checkpoint, and each worker's is another."""

_KEEP = 2
"""Checkpoints that a training has at least while it is under way: the last one may turn out damaged."""


def protect_config(config: Config) -> None:
    """Add the hooks that protect a training to its config, after those that it has.

    Args:
        config: A complete config; changed in place. A hook that it has already stays as it is.
    """
    keep_checkpoints(config)
    hooks: list[Any] = list(config.get("custom_hooks") or [])
    present = {type_name(hook.get("type", "")) for hook in hooks if hasattr(hook, "get")}
    for name in (RandomStateHook.__name__, SameBuffersHook.__name__):
        if name not in present:
            hooks.append({"type": name})
    config.custom_hooks = hooks


def protect_runner(runner: Runner) -> None:
    """Have a runner, built from a protected config, load samples so that a resumed training sees the same.

    Raises:
        DatasetError, FileNotFoundError: As when the runner builds its data loader.
    """
    wanted = next(hook.sample_seeds for hook in runner.hooks if isinstance(hook, RandomStateHook))
    seeded = wanted is not False
    if seeded:
        seed_samples(runner)
    samples = ", random numbers of each sample from (seed, pass, index)" if seeded else ""
    print_log(f"protected: random states in checkpoints, the same buffers in validations{samples}", "current")
    caching = caching_transforms(runner.cfg.get("train_dataloader"))
    if caching:
        print_log(
            f"but images of one sample are kept for the next ({', '.join(caching)}): killed and resumed, or "
            "with another number of workers, this is another training",
            "current",
            logging.WARNING,
        )


def caching_transforms(dataloader: Any) -> list[str]:
    """The transforms of a data loader's config whose samples depend on those before, by their names."""
    names = {type_name(node.get("type", "")) for node in dicts(dataloader)}
    return sorted(names.intersection(_CACHING))


def keep_checkpoints(config: Config) -> None:
    """Have a config's checkpoint hook keep at least two, and never fewer for a moment.

    A config that keeps more, or all, is left as it is. So are best checkpoints, which count apart.
    """
    # What is set is copied: look it up again.
    config.setdefault("default_hooks", {})
    config.default_hooks.setdefault("checkpoint", {"type": "CheckpointHook", "interval": 1})
    hook = config.default_hooks.checkpoint
    if hook is None:
        return  # the config wants none
    if 0 < hook.get("max_keep_ckpts", -1) < _KEEP:
        hook["max_keep_ckpts"] = _KEEP
    if hook.get("type", "CheckpointHook") == "CheckpointHook":
        hook["type"] = SafeCheckpointHook.__name__
