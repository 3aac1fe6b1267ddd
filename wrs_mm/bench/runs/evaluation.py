"""What a run measures beside its validations: the test split at its end, and training images on the way.

Both begin from the run's seed: data that is read with random numbers gives the same whether a run was
interrupted or not. And both leave the training as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import DATASETS
from mmengine.runner.amp import autocast
from mmengine.runner.utils import set_random_seed
from torch.utils.data import Subset

from wrs_mm.bench.runs.no_detections import zero_metrics
from wrs_mm.bench.runs.validations import Validations
from wrs_mm.openmmlab.configs import evaluator_configs
from wrs_mm.openmmlab.protection.random_state_hook import random_state, set_random_state
from wrs_mm.values import type_name


def measure_test(runner: Any) -> dict[str, float]:
    """The metrics of a trained model on the test split.

    Args:
        runner: The runner that trained it. What its hooks do before a validation they do before this too.
    """
    set_random_seed(runner.seed)
    # Not runner.test(), which begins a run anew: hooks would build their averaged models again.
    runner._test_loop = runner.build_test_loop(runner._test_loop)
    metrics: dict[str, float] = runner.test_loop.run() or zero_metrics(runner.test_loop.evaluator)
    if not metrics:
        raise RuntimeError("the evaluation of the test split ended without metrics")
    return metrics


@DATASETS.register_module()
class EvenSubset(Subset):
    """Some images of a data set, evenly spaced in its order: the same ones in every run.

    Args:
        dataset: Config of the data set.
        count: How many at most.
    """

    def __init__(self, dataset: dict[str, Any], count: int) -> None:
        whole = DATASETS.build(dataset)
        count = min(count, len(whole))
        super().__init__(whole, [position * len(whole) // count for position in range(count)])
        self.metainfo = whole.metainfo


class TrainImagesHook(Hook):
    """Measures training images too, at each validation, as that does: same weights, pipeline and metrics.

    Args:
        loader: Config of the validation's data loader.
        evaluators: Configs of what measures, from :func:`train_evaluators`.
        dataset: Config of the training images without augmentation, from :func:`without_augmentation`.
        record: Where the metrics are kept, as validations are.
    """

    # Within the validation, before hooks take averaged weights out again.
    priority = "VERY_HIGH"

    def __init__(
        self, loader: Mapping[str, Any], evaluators: list[Any], dataset: Mapping[str, Any], record: Path
    ) -> None:
        self._loader = loader
        self._dataset = dataset
        self._evaluators = evaluators
        self.validations = Validations(record)
        self._batches: Any = None
        self._evaluator: Any = None

    def before_train(self, runner: Any) -> None:
        """Build what measures: what cannot be built is better known before the training than after."""
        self.validations.forget_after(runner.iter)
        before = random_state()
        chosen = {
            "type": EvenSubset.__name__,
            "dataset": self._dataset,
            "count": len(runner.val_dataloader.dataset),
        }
        self._batches = runner.build_dataloader({**self._loader, "dataset": chosen}, seed=runner.seed)
        self._evaluator = runner.build_evaluator(self._evaluators)
        self._evaluator.dataset_meta = self._batches.dataset.metainfo
        set_random_state(before)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Measure, and write it down."""
        before = random_state()
        set_random_seed(runner.seed)
        with torch.no_grad(), autocast(enabled=runner.val_loop.fp16):
            for batch in self._batches:
                outputs = runner.model.val_step(batch)
                self._evaluator.process(data_samples=outputs, data_batch=batch)
        found = self._evaluator.evaluate(len(self._batches.dataset)) or zero_metrics(self._evaluator)
        self.validations.add(runner.iter, found)
        set_random_state(before)
        if is_main_process():
            self.validations.write()


def train_images_hook(config: Mapping[str, Any], record: Path) -> TrainImagesHook | None:
    """The hook for a recipe; None where none of its evaluators can measure training images.

    Args:
        config: A resolved config, before anything is added to it.
        record: As the hook's.
    """
    evaluators = train_evaluators(config["val_evaluator"])
    if not evaluators:
        return None
    loader = {**config["val_dataloader"], "persistent_workers": False}
    dataset = without_augmentation(config["train_dataloader"]["dataset"], loader.pop("dataset"))
    return TrainImagesHook(loader, evaluators, dataset, record)


def train_evaluators(evaluators: Any) -> list[Any]:
    """Those evaluators of a validation that can measure other images, as configs.

    One that reads annotations of the validation images from a file cannot, but for mmdet's ``CocoMetric``:
    without a file it takes the objects that come with the images.
    """
    found = []
    for evaluator in evaluator_configs(evaluators):
        plain = {key: value for key, value in evaluator.items() if key not in ("ann_file", "outfile_prefix")}
        if not evaluator.get("ann_file") or type_name(evaluator["type"]) == "CocoMetric":
            found.append(plain)
    return found


def without_augmentation(dataset: Mapping[str, Any], validation: Mapping[str, Any]) -> dict[str, Any]:
    """Training images as validation images are read, each once.

    Args:
        dataset: Config of the training images; what repeats or mixes them is left out.
        validation: Config of the validation images.
    """
    if dataset.get("datasets"):
        parts = [without_augmentation(part, validation) for part in dataset["datasets"]]
        return {**dataset, "datasets": parts}
    if dataset.get("dataset"):
        return without_augmentation(dataset["dataset"], validation)
    while "pipeline" not in validation or validation.get("dataset") or validation.get("datasets"):
        validation = validation.get("dataset") or validation["datasets"][0]
    mode = {key: validation[key] for key in ("test_mode",) if key in validation}
    return {**dataset, **mode, "pipeline": [_with_objects(step) for step in validation["pipeline"]]}


def _with_objects(step: Mapping[str, Any]) -> Mapping[str, Any]:
    """A step of a pipeline; mmdet's last one passes the objects on to whoever measures."""
    if type_name(step["type"]) != "PackDetInputs":
        return step
    import inspect

    from mmdet.datasets.transforms import PackDetInputs

    default = inspect.signature(PackDetInputs).parameters["meta_keys"].default
    return {**step, "meta_keys": (*step.get("meta_keys", default), "instances")}
