"""The toolboxes' published baselines beside our own results.

The published numbers are read from the metafiles that the installed mmdet and mmseg carry; ours, from
the ``results.csv`` of benchmarks that were run. A cell that nobody measured says so.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from wrs_mm import regularizers
from wrs_mm.bench.plan.recipes import CONFIGS
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.over_seeds import mean_and_sd
from wrs_mm.bench.statistics.results import gather, read_results
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import config_path, load_config

if TYPE_CHECKING:
    from mmengine.config import Config

ARMS = ("none", "wd", "wrs")
"""The regularizers, a column each."""

DATASETS = ("coco", "cityscapes")
"""Folders under ``configs/`` whose recipes derive from published ones, which are also the names of
the datasets in results: what was trained on other data does not count."""

UNMEASURED = "not measured yet"
"""What a cell says without results."""

METRICS = {"box AP": "bbox_mAP", "mask AP": "segm_mAP", "mIoU": "mIoU"}
"""The metafiles' names of the metrics shown, and ours. (Metafiles also give mIoU over several scales
and flips, which no recipe here measures.)"""

_AS_THE_RECIPE = {
    "optimizer": "recipe",
    "learning_rate": None,
    "cfg_options": "{}",
    "options": "{}",
    "settings": "{}",
    "trial": None,
    "split": "tune",
    "status": "done",
    "checkpoint": "last",
}
"""What ``results.csv`` says of a finished run that differs from its recipe by the arm alone."""


@dataclass(frozen=True)
class Published:
    """What a metafile says of one model.

    Attributes:
        name: The model's name in the metafile.
        metrics: Those of :data:`METRICS`, in percent, by the metafile's names.
        memory: GPU memory that its training took, in GB; None where the metafile has none.
    """

    name: str
    metrics: dict[str, float]
    memory: float | None


def recipes(dataset: str) -> list[Path]:
    """The recipes of a folder under ``configs/``, without their arms."""
    paths = sorted((CONFIGS / dataset).glob("*.py"))
    overlays = tuple(f"_{arm}" for arm in regularizers.names())
    return [path for path in paths if not path.stem.endswith(overlays)]


def toolbox_base(path: Path) -> str:
    """The toolbox's config that a recipe inherits from, such as ``mmdet::fcos/fcos_….py``.

    Raises:
        ConfigError: It inherits from none, or from several.
    """
    found = sorted(set(_toolbox_bases(path)))
    if len(found) != 1:
        raise ConfigError(f"{path} inherits from {len(found)} configs of the toolboxes; it needs one")
    return found[0]


def _toolbox_bases(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_base_":
            value = ast.literal_eval(node.value)
            for base in [value] if isinstance(value, str) else value:
                if "::" in base:
                    yield base
                else:
                    yield from _toolbox_bases(path.parent / base)


def published(base: str) -> Published:
    """What the installed toolbox publishes for one of its configs.

    Args:
        base: Such as ``mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py``.

    Raises:
        ConfigError: The config, or its entry in the metafile, does not exist.
    """
    path = config_path(base)
    family = path.parent
    for metafile in sorted(family.glob("metafile.y*ml")):
        content = yaml.safe_load(metafile.read_text(encoding="utf-8"))
        for model in content["Models"]:
            if model["Config"] == f"configs/{family.name}/{path.name}":
                return _published(model)
    raise ConfigError(f"{base}: the metafile of {family.name} has no entry for it")


def _published(model: Mapping[str, Any]) -> Published:
    results = model["Results"]
    metrics: dict[str, float] = {}
    for result in results if isinstance(results, list) else [results]:
        metrics.update({key: value for key, value in result["Metrics"].items() if key in METRICS})
    own = model["Metadata"]
    memory = own.get("Training Memory (GB)") or own.get("Memory (GB)")
    return Published(name=model["Name"], metrics=metrics, memory=memory)


def same_network(path: Path, base: str) -> bool:
    """Whether a recipe trains the network of the config that it inherits from.

    Where the weights of the backbone come from is named in two ways, and is no difference.
    """
    return _network(read_config(path)) == _network(read_config(base))


@functools.cache
def read_config(source: str | Path) -> Config:
    """The config at ``source``, read once: nobody changes it."""
    return load_config(source)


def _network(config: Config) -> dict[str, Any]:
    model: dict[str, Any] = _without_scopes(config.model.to_dict())
    pretrained = model.pop("pretrained", None)
    if pretrained:
        model["backbone"]["init_cfg"] = {"type": "Pretrained", "checkpoint": pretrained}
    return model


def _without_scopes(value: Any) -> Any:
    """Leave out the notes that mmengine makes of which toolbox a part came from."""
    if isinstance(value, dict):
        return {key: _without_scopes(inner) for key, inner in value.items() if key != "_scope_"}
    return [_without_scopes(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def measured(paths: Sequence[Path]) -> pd.DataFrame:
    """The results in the work dirs of benchmarks that may stand beside published ones.

    Args:
        paths: The work dirs.

    Returns:
        Rows of ``results.csv``: of the last checkpoint of a finished run, trained on COCO or
        Cityscapes as the recipe says, but for the arm.

    Raises:
        PlanError: A folder holds no ``results.csv``.
    """
    frame = pd.concat([gather([]), *(read_results(WorkDir(path).results) for path in paths)])
    ours = frame["dataset"].isin(DATASETS)
    for column, value in _AS_THE_RECIPE.items():
        ours &= frame[column].isna() if value is None else frame[column] == value
    return frame[ours]


def table(paths: Sequence[Path] = ()) -> str:
    """The published baselines and our results as Markdown, a row a recipe.

    Args:
        paths: Work dirs of benchmarks whose results fill the cells of ours.
    """
    results = measured(paths)
    lines = [
        f"| recipe | published | {' | '.join(ARMS)} |",
        "|" + " :-- |" * (2 + len(ARMS)),
    ]
    differs = False
    for dataset in DATASETS:
        for path in recipes(dataset):
            base = toolbox_base(path)
            known = published(base)
            numbers = ", ".join(f"{name} {value}" for name, value in known.metrics.items())
            mark = "" if same_network(path, base) else " ¹"
            differs = differs or bool(mark)
            ours = [_cell(results, f"{dataset}/{path.stem}", arm, known.metrics) for arm in ARMS]
            cells = [f"`{path.stem}`", f"published: {numbers}{mark} (`{known.name}`)", *ours]
            lines.append(f"| {' | '.join(cells)} |")
    text = "\n".join(lines)
    if differs:
        text += (
            "\n\n¹ of the toolbox's recipe that ours derives from; ours normalizes in other places or by "
            "other means, so that this number is no target for it."
        )
    return text


def _cell(results: pd.DataFrame, recipe: str, arm: str, metrics: Mapping[str, float]) -> str:
    """Our numbers of one recipe and arm: mean, standard deviation and number of seeds."""
    rows = results[(results["recipe"] == recipe) & (results["regularizer"] == arm)]
    parts = []
    for name in metrics:
        values = rows[rows["metric"] == METRICS[name]].drop_duplicates("seed")["value"]
        mean, sd = mean_and_sd(list(values))
        if len(values):
            spread = f" ± {sd:.2f}, {len(values)} seeds" if len(values) > 1 else ", 1 seed"
            parts.append(f"{name} {mean:.2f}{spread}")
    return "; ".join(parts) or UNMEASURED
