"""From a run's spec to its config: the recipe, made the arm, with the optimizer and the seed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wrs_mm
from wrs_mm.bench.plan.config_keys import lookup, override
from wrs_mm.bench.plan.links import parse_links
from wrs_mm.bench.plan.optimizers import with_optimizer
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.datasets.layout import require_dataset
from wrs_mm.errors import ConfigError, PlanError, UsageError
from wrs_mm.openmmlab.configs import config_path, load_config
from wrs_mm.regularizers import apply_regularizer

if TYPE_CHECKING:
    from mmengine.config import Config

CONFIGS = Path(wrs_mm.__file__).resolve().parent.parent / "configs"
"""The recipes of the checkout."""

TASKS = {"mmdet": "detection", "mmseg": "segmentation"}
"""Task of a config by its ``default_scope``."""


OPTIMIZER = "optim_wrapper.optimizer"
"""Where a config has its optimizer."""


class SpecError(PlanError):
    """A spec cannot become a config.

    Args:
        message: Why, and what to write instead.
        part: The part of the plan that is wrong: a field of :class:`RunSpec`.
        key: In ``cfg_options`` and ``links``, the setting.
    """

    def __init__(self, message: str, part: str, key: str | None = None) -> None:
        super().__init__(message)
        self.part = part
        self.key = key


def find_recipe(recipe: str, folder: Path) -> str:
    """Find the config of a recipe.

    Args:
        recipe: A name under ``configs/``, a path relative to ``folder``, ``mmdet::…`` or
            ``mmseg::…``; the ending ``.py`` may be left out.
        folder: Where relative paths start: the plan's folder.

    Returns:
        The config's path.

    Raises:
        PlanError: There is no such config.
    """
    if "::" in recipe:
        try:
            return str(config_path(recipe))
        except ConfigError as error:
            raise PlanError(f"recipe {recipe!r}: {error}") from None
    file = recipe if recipe.endswith((".json", ".yaml", ".yml")) else recipe.removesuffix(".py") + ".py"
    for root in (folder, CONFIGS):
        if (root / file).is_file():
            return str(root / file)
    known = [
        config.relative_to(CONFIGS).with_suffix("").as_posix()
        for config in CONFIGS.glob("*/*.py")
        if config.parent.name != "_base_"
    ]
    close = difflib.get_close_matches(recipe.removesuffix(".py"), known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise PlanError(f"recipe {recipe!r} is neither a config under configs/ nor a path beside the plan{hint}")


def resolve(spec: RunSpec, source: str) -> Config:
    """The config that a run trains.

    Args:
        spec: The run.
        source: Path of the recipe, from :func:`find_recipe`.

    Returns:
        A new config with the arm, the seed, deterministic algorithms, and random states in its
        checkpoints.

    Raises:
        SpecError: The recipe does not parse, is of neither toolbox or does not validate; or a part of
            the spec does not fit it.
    """
    config = _arm(spec, Path(source))
    hooks = list(config.get("custom_hooks") or [])
    if all(_name(hook.get("type")) != "RandomStateHook" for hook in hooks):
        # A run that was killed and resumed must end with the numbers of one that was not.
        config.custom_hooks = [*hooks, {"type": "RandomStateHook"}]
    config.randomness = {**config.get("randomness", {}), "seed": spec.seed, "deterministic": True}
    return config


def base_config(spec: RunSpec, source: str | Path) -> Config:
    """The recipe with the spec's ``cfg_options``: what optimizer, arm and seed are applied to.

    Raises:
        SpecError: It does not parse, or an option does not fit it.
    """
    with _blame(spec, "recipe"):
        config = load_config(source)
    for key, value in spec.cfg_options.items():
        with _blame(spec, "cfg_options", key):
            override(config, {key: value})
    return config


def _arm(spec: RunSpec, source: Path) -> Config:
    """The recipe as the arm of a spec: the recipe's own options for it, and the spec's over them."""
    config = _with_optimizer(spec, source)
    with _blame(spec, "regularizer"):
        return apply_regularizer(config, spec.regularizer, **spec.options)


def _with_optimizer(spec: RunSpec, source: Path) -> Config:
    """A config with everything of a spec but the arm and the seed."""
    config = base_config(spec, source)
    if _scope(config) not in TASKS:
        raise SpecError(f"recipe {spec.recipe!r}: default_scope must be mmdet or mmseg", "recipe")
    if config.get("val_dataloader") is None or config.get("val_evaluator") is None:
        raise SpecError(
            f"recipe {spec.recipe!r} has no validation; set val_dataloader and the rest", "recipe"
        )
    links = []
    for link in parse_links(spec.links):
        with _blame(spec, "links", link.key):
            links.append(link.measured(config))
    with _blame(spec, "recipe"):
        lookup(config, OPTIMIZER)
    with _blame(spec, "optimizer"):
        config.optim_wrapper.optimizer = with_optimizer(
            config.optim_wrapper.optimizer.to_dict(),
            spec.optimizer,
            spec.optimizer_options,
            spec.learning_rate,
        )
    for link in links:
        with _blame(spec, "links", link.key):
            link.apply(config)
    return config


@contextmanager
def _blame(spec: RunSpec, part: str, key: str | None = None) -> Iterator[None]:
    """Say of a mistake which part of the spec it lies in."""
    try:
        yield
    except UsageError as error:
        raise SpecError(f"recipe {spec.recipe!r}: {error}", part, key) from error


def require_data(config: Config) -> None:
    """Check that the data of training and validation exists; a benchmark has no use for the test set.

    Raises:
        DatasetError: It does not.
    """
    require_dataset({key: value for key, value in config.items() if not key.startswith("test_")})


def task(config: Config) -> str:
    """``detection`` or ``segmentation``."""
    return TASKS[_scope(config)]


def _scope(config: Config) -> str:
    """``mmdet`` or ``mmseg``; configs in mmengine's new style leave it to the import path of the model."""
    model = config.get("model", {}).get("type", "")
    path = model if isinstance(model, str) else model.__module__
    return config.get("default_scope") or path.partition(".")[0]


def dataset_name(config: Config) -> str:
    """Name of the validation data: the last folder of its root, or else the dataset's class."""
    dataset = config.val_dataloader.dataset
    return Path(dataset.get("data_root") or "").name or _name(dataset.get("type", ""))


def _name(kind: Any) -> str:
    """The name of a class, without its import path."""
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return name.rpartition(".")[2]
