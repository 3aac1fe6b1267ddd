"""How many GPU hours the recipes for COCO and Cityscapes take, from published training speeds.

The installed toolboxes carry no training speed: their metafiles give memory, schedules and, for some
models, inference times only. The speeds here stand in the documents of the toolboxes' repositories,
each with its source; a family without one has no estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.recipes import CONFIGS, find_recipe
from wrs_mm.bench.published.baselines import (
    DATASETS,
    published,
    read_config,
    recipes,
    same_network,
    toolbox_base,
)
from wrs_mm.errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config

EPOCH = 117266
"""Images of COCO's train2017 with at least one object: those that recipes train on."""

_MMDET = (
    "[mmdet, docs/en/model_zoo.md, «Comparison with Detectron2»](https://github.com/open-mmlab/mmdetection/"
    "blob/10e91fd224d83c1a49ef6474cd36e70d0295b1aa/docs/en/model_zoo.md#training-speed)"
)
_MMDET_FCOS = (
    "[mmdet v1.0rc1, configs/fcos/README.md]"
    "(https://github.com/open-mmlab/mmdetection/blob/v1.0rc1/configs/fcos/README.md)"
)
_MMSEG = (
    "[mmseg, docs/en/model_zoo.md, «Speed benchmark»](https://github.com/open-mmlab/mmsegmentation/"
    "blob/94f9cb4e1dbffa13323dde65ce13b8af61e5ff07/docs/en/model_zoo.md#training-speed)"
)


@dataclass(frozen=True)
class Speed:
    """A published training speed.

    Attributes:
        seconds: Of one iteration.
        images: That one GPU takes in one iteration.
        of: What was measured, and on what.
        source: Where it stands, as Markdown.
    """

    seconds: float
    images: int
    of: str
    source: str


SPEEDS = {
    "faster-rcnn": Speed(0.216, 2, "R50 caffe FPN 1x, 8 V100", _MMDET),
    "mask-rcnn": Speed(0.265, 2, "R50 caffe FPN 1x, 8 V100", _MMDET),
    "retinanet": Speed(0.205, 2, "R50 caffe FPN 1x, 8 V100", _MMDET),
    "fcos": Speed(0.396, 4, "R50 caffe FPN GN 1x, 4 V100", _MMDET_FCOS),
    "pspnet": Speed(0.83, 2, "R101-D8 512×1024, V100", _MMSEG),
    "deeplabv3plus": Speed(0.85, 2, "R101-D8 512×1024, V100", _MMSEG),
}
"""By the first word of a recipe's name. mmseg publishes ResNet-101's only, which ours, with
ResNet-50, should not exceed."""


def images_seen(config: Config, dataset: str) -> int:
    """How many images a recipe trains on, each as often as it is seen.

    Args:
        config: The recipe.
        dataset: ``coco``, or ``cityscapes``, whose names say how many GPUs the toolbox trains on.

    Raises:
        ConfigError: The schedule counts neither epochs of COCO nor iterations.
    """
    epochs = config.train_cfg.get("max_epochs")
    if epochs and dataset == "coco":
        return EPOCH * epochs
    iterations = config.train_cfg.get("max_iters")
    if not iterations:
        raise ConfigError(f"{config.filename}: the schedule has neither epochs nor iterations")
    return iterations * gpus(config) * config.train_dataloader.batch_size


def gpus(config: Config) -> int:
    """The number of GPUs that a recipe's batch is meant for.

    From the recipe's ``auto_scale_lr`` where it has one; else from its name, in which OpenMMLab
    writes «4xb2» for four GPUs with two images each.

    Raises:
        ConfigError: It says neither.
    """
    batch = config.train_dataloader.batch_size
    base = (config.get("auto_scale_lr") or {}).get("base_batch_size")
    for part in Path(config.filename).stem.replace("-", "_").split("_"):
        count, separator, each = part.partition("xb")
        if separator and count.isdigit() and each == str(batch):
            return int(count)
    if base:
        return math.ceil(base / batch)
    raise ConfigError(f"{config.filename}: neither its name nor auto_scale_lr says for how many GPUs it is")


def gpu_hours(images: int, speed: Speed) -> float:
    """GPU hours of a training: images × seconds a GPU takes for one image."""
    return images * speed.seconds / speed.images / 3600


def plan_gpu_hours(plan: Path) -> tuple[float, int, int]:
    """GPU hours of a plan for COCO or Cityscapes.

    Returns:
        GPU hours of its runs that have a published speed, how many these are, and how many runs it has.
    """
    runs = expand(load_plan(plan))
    hours = []
    for run in runs:
        path = Path(find_recipe(run.config or run.recipe, plan.parent))
        speed = SPEEDS.get(path.stem.split("_")[0])
        if speed:
            hours.append(gpu_hours(images_seen(read_config(path), path.parent.name), speed))
    return sum(hours), len(hours), len(runs)


def table() -> str:
    """GPU hours of one run of each recipe, and of the plans, as Markdown."""
    lines = [
        "| recipe | images × times seen | GB a GPU | published speed | GPU hours a run | hours on 8 GPUs |",
        "| :-- | --: | --: | :-- | --: | --: |",
    ]
    for dataset in DATASETS:
        for path in recipes(dataset):
            images = images_seen(read_config(path), dataset)
            speed = SPEEDS.get(path.stem.split("_")[0])
            if speed is None:
                cells = ["none found", "–", "–"]
            else:
                hours = gpu_hours(images, speed)
                said = f"{speed.seconds} s for {speed.images} images ({speed.of})"
                cells = [said, f"{hours:.0f}", f"{hours / 8:.1f}"]
            base = toolbox_base(path)
            memory = published(base).memory or "–"
            mark = "" if same_network(path, base) else " ¹"
            first = [f"`{path.stem}`{mark}", f"{images:,}".replace(",", " "), str(memory)]
            lines.append(f"| {' | '.join(first + cells)} |")
    plans = []
    for plan in (f"{dataset}{sweep}" for dataset in DATASETS for sweep in ("", "_wd_sweep")):
        hours, known, count = plan_gpu_hours(CONFIGS / "benchmarks" / f"{plan}.yaml")
        plans.append(f"| `{plan}.yaml` | {count} | {known} | {hours:,.0f} |".replace(",", " "))
    lines += ["", "| plan | runs | of them with a published speed | GPU hours of these |"]
    lines += ["| :-- | --: | --: | --: |", *plans]
    sources = ", ".join(dict.fromkeys(speed.source for speed in SPEEDS.values()))
    note = (
        "¹ memory and speed are of the toolbox's network; this one has more to train and synchronizes its "
        "normalization, so expect more."
    )
    return "\n".join(lines) + f"\n\n{note}\n\nSources of the speeds: {sources}."
