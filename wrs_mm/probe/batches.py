"""The batches of a probe: made up, or the first of a config's training data."""

from __future__ import annotations

import contextlib
import copy
import io
from itertools import islice
from typing import Any

from mmengine.config import Config

from wrs_mm.borrowed import seeded
from wrs_mm.datasets.layout import require_dataset
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.synthetic import quiet


def training_batches(config: Config, count: int, batch_size: int, seed: int) -> list[dict[str, Any]]:
    """The first batches that a training on a config's data sees, read in this process.

    Args:
        config: The config.
        count: How many, at most: fewer where the data has fewer.
        batch_size: Images of each.
        seed: Of their order, and of what its pipeline draws.

    Raises:
        ConfigError: The config has no training data, or not two batches of it.
        DatasetError: The data is not there.
    """
    from mmengine.registry import DefaultScope
    from mmengine.runner import Runner

    if config.get("train_dataloader") is None:
        raise ConfigError(f"config {config.filename} has no train_dataloader: leave --dataset out")
    require_dataset(config, ("train",))
    settings = copy.deepcopy(config.train_dataloader)
    settings.update(num_workers=0, persistent_workers=False, batch_size=batch_size, drop_last=True)
    settings.pop("batch_sampler", None)
    scope = DefaultScope.overwrite_default_scope(config.get("default_scope"))
    # pycocotools prints what it does.
    with scope, seeded(seed), quiet(), contextlib.redirect_stdout(io.StringIO()):
        loader = Runner.build_dataloader(settings, seed=seed)
        batches = list(islice(loader, count))
    if len(batches) < 2:
        raise ConfigError("the training data has not two batches: choose a smaller --batch-size")
    return batches
