"""The splits of a config: which of its data settings are chosen on, and which tables may report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wrs_mm.bench.plan.spec import Split
from wrs_mm.datasets.layout import dataset_paths
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import evaluator_configs

if TYPE_CHECKING:
    from mmengine.config import Config

CONFIG_PREFIX: Mapping[Split, str] = {"tune": "val", "test": "test"}
"""What a config's keys for a split begin with: ``val_dataloader``, ``test_evaluator``."""

_HOW_READ = frozenset("pipeline test_mode lazy_init serialize_data max_refetch backend_args metainfo".split())
"""Keys of a dataset that do not say which images it has."""


def check_test_split(config: Config) -> None:
    """Check that a config has a test split, with labels, that is not its validation split.

    Raises:
        ConfigError: It has none; the line says what to write.
    """
    remedy = "give it a test_dataloader and a test_evaluator on images of their own, or write split: tune"
    for key in ("test_dataloader", "test_evaluator", "test_cfg"):
        if config.get(key) is None:
            raise ConfigError(f"it has no {key} for split: test; {remedy}")
    evaluators = evaluator_configs(config.test_evaluator)
    if all(evaluator.get("format_only") for evaluator in evaluators):
        raise ConfigError(
            f"its test_evaluator measures nothing (format_only), so its test is no split; {remedy}"
        )
    if _images(config.test_dataloader.dataset) == _images(config.val_dataloader.dataset):
        raise ConfigError(
            f"its test_dataloader reads the images of val_dataloader, so test is tune; {remedy}"
        )
    files = [_annotations(config.get(f"{prefix}_evaluator")) for prefix in CONFIG_PREFIX.values()]
    if files[0] & files[1]:
        file = min(files[0] & files[1])
        raise ConfigError(f"its test_evaluator has the annotations of val_evaluator, {file}; {remedy}")


def _images(dataset: Mapping[str, Any]) -> Any:
    """Which images a dataset has: equal for two datasets that have the same."""
    paths = {str(path) for path in dataset_paths({"val_dataloader": {"dataset": dataset}})}
    if paths:
        return paths, dataset.get("indices")
    return {key: value for key, value in dataset.items() if key not in _HOW_READ}


def _annotations(evaluators: Any) -> set[str]:
    return {str(one["ann_file"]) for one in evaluator_configs(evaluators) if one.get("ann_file")}
