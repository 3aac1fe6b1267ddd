"""From a run's spec to its config: the recipe, made the arm, with the seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wrs_mm import regularizers
from wrs_mm.bench.plan import RunSpec
from wrs_mm.errors import PlanError

if TYPE_CHECKING:
    from mmengine import Config

TASKS = {"mmdet": "detection", "mmseg": "segmentation"}
"""Task of a config by its ``default_scope``."""


def resolve(spec: RunSpec, source: str) -> Config:
    """The config that a run trains.

    Args:
        spec: The run.
        source: Path of the recipe, from :func:`wrs_mm.bench.plan.find_recipe`.

    Returns:
        A new config with the arm, the seed, deterministic algorithms, and random states in its
        checkpoints.

    Raises:
        ConfigError: The recipe does not parse.
        OptionError: The arm does not fit the recipe.
        PlanError: The recipe cannot be compared: it is of neither toolbox or does not validate.
    """
    from wrs_mm.openmmlab.configs import load_config

    config = load_config(source)
    if config.get("default_scope") not in TASKS:
        raise PlanError(f"recipe {spec.recipe!r}: default_scope must be mmdet or mmseg")
    if config.get("val_dataloader") is None or config.get("val_evaluator") is None:
        raise PlanError(f"recipe {spec.recipe!r} has no validation; set val_dataloader and the rest")
    config = regularizers.apply(config, spec.regularizer, **spec.options)
    hooks = list(config.get("custom_hooks") or [])
    if all(hook.get("type") != "RandomStateHook" for hook in hooks):
        # A run that was killed and resumed must end with the numbers of one that was not.
        config.custom_hooks = [*hooks, {"type": "RandomStateHook"}]
    config.randomness = {**config.get("randomness", {}), "seed": spec.seed, "deterministic": True}
    return config


def task(config: Config) -> str:
    """``detection`` or ``segmentation``."""
    return TASKS[config.default_scope]


def dataset_name(config: Config) -> str:
    """Name of the validation data: the last folder of its root, or else the dataset's class."""
    dataset = config.val_dataloader.dataset
    return Path(dataset.get("data_root") or "").name or str(dataset.get("type", ""))
