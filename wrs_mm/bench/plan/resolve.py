"""From a run's spec to its config: the recipe, made the arm, with the optimizer and the seed."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from wrs_mm.bench.plan.config_keys import lookup, override
from wrs_mm.bench.plan.links import parse_links
from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.bench.plan.optimizers import RECIPE, with_optimizer
from wrs_mm.bench.plan.search import LR
from wrs_mm.bench.plan.spec import RunSpec, Split
from wrs_mm.bench.plan.splits import check_test_split
from wrs_mm.classification import BackboneClassifier
from wrs_mm.datasets.layout import require_dataset
from wrs_mm.engine.projected import require_timm
from wrs_mm.errors import UsageError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.pretrained import ALLOW_PARTIAL, loading
from wrs_mm.openmmlab.pretrained_config import names_pretrained, start_from, start_from_scratch
from wrs_mm.openmmlab.synthetic import build_model, quiet
from wrs_mm.regularizers import apply_regularizer, recipe_options
from wrs_mm.values import type_name

if TYPE_CHECKING:
    from mmengine.config import Config

_Read: TypeAlias = "Callable[[str | Path], Config]"
"""How a config is read: :func:`load_config`, or one that reads each file once."""

_TASKS = {"mmdet": "detection", "mmseg": "segmentation", "mmpretrain": "classification"}
"""Task of a config by its ``default_scope``."""

_OPTIMIZER = "optim_wrapper.optimizer"
"""Where a config has its optimizer."""


def resolve(spec: RunSpec, source: str, read: _Read = load_config) -> Config:
    """The config that a run trains.

    Args:
        spec: The run.
        source: Path of the recipe, from :func:`wrs_mm.bench.plan.recipes.find_recipe`.
        read: Reads a config.

    Returns:
        A new config with the arm, the seed, deterministic algorithms, and random states in its
        checkpoints.

    Raises:
        Mistake: The recipe does not parse, is of neither toolbox or does not validate; or a part of
            the spec does not fit it. Its location is that part's: a field of the spec and, in
            ``cfg_options`` and ``links``, the config key.
    """
    config = _with_optimizer(spec, source, read)
    tuned = {key: value for key, value in spec.settings.items() if key != LR}
    # By now the optimizer has the learning rate that the arm trains with.
    lr = {LR: config.optim_wrapper.optimizer[LR]} if LR in config.optim_wrapper.optimizer else {}
    with _blame(spec, "settings" if tuned else "regularizer"):
        # The recipe's own options for the arm, the spec's over them, and what was tuned over those.
        config = apply_regularizer(config, spec.regularizer, **{**spec.options, **tuned, **lr})
    hooks = list(config.get("custom_hooks") or [])
    if all(type_name(hook.get("type")) != "RandomStateHook" for hook in hooks):
        # A run that was killed and resumed must end with the numbers of one that was not.
        config.custom_hooks = [*hooks, {"type": "RandomStateHook"}]
    return with_seed(config, spec.seed)


def with_seed(config: Config, seed: int) -> Config:
    """A resolved config with another seed: a new one that differs in nothing else."""
    seeded = copy.deepcopy(config)
    seeded.randomness = {**config.get("randomness", {}), "seed": seed, "deterministic": True}
    return seeded


def base_config(spec: RunSpec, source: str | Path, read: _Read = load_config) -> Config:
    """The recipe with the spec's ``cfg_options`` and start: what optimizer, arm and seed are applied to.

    Raises:
        Mistake: It does not parse, or an option or the start does not fit it.
    """
    with _blame(spec, "recipe"):
        config = read(source)
    for key, value in spec.cfg_options.items():
        with _blame(spec, "cfg_options", key):
            override(config, {key: value})
    if spec.start is not None:
        with _blame(spec, "start"):
            if spec.start.checkpoint is None:
                start_from_scratch(config)
            else:
                # A pretraining of the plan leaves its backbone alone, in a file that need not be there yet.
                prefix = None if spec.start.pretraining is None else ""
                start_from(config, spec.start.checkpoint, prefix)
    return config


def _with_optimizer(spec: RunSpec, source: str, read: _Read) -> Config:
    """A config with everything of a spec but the arm and the seed."""
    config = base_config(spec, source, read)
    if _task(config) is None:
        raise Mistake(
            f"recipe {spec.recipe!r}: default_scope must be mmdet, mmseg or mmpretrain, or the model a "
            f"{BackboneClassifier.__name__}",
            "recipe",
        )
    if config.get("val_dataloader") is None or config.get("val_evaluator") is None:
        raise Mistake(f"recipe {spec.recipe!r} has no validation; set val_dataloader and the rest", "recipe")
    if spec.split == "test":
        with _blame(spec, "split"):
            check_test_split(config)
    links = []
    for link in parse_links(spec.links):
        with _blame(spec, "links", link.key):
            links.append(link.measured(config))
    with _blame(spec, "recipe"):
        lookup(config, _OPTIMIZER)
    with _blame(spec, "optimizer"):
        config.optim_wrapper.optimizer = with_optimizer(
            config.optim_wrapper.optimizer.to_dict(),
            spec.optimizer,
            spec.optimizer_options,
            declared_lr(spec, config),
        )
    for link in links:
        with _blame(spec, "links", link.key):
            link.apply(config)
    return config


def declared_lr(spec: RunSpec, base: Config) -> float | None:
    """The learning rate that an arm says it has: the plan's or, of the recipe's own optimizer, the recipe's.

    Args:
        spec: The run.
        base: Its recipe, from :func:`base_config`.

    Returns:
        None for an arm that keeps the optimizer's.
    """
    own: float | None = recipe_options(base).get(spec.regularizer, {}).get(LR)
    return spec.lr or (own if spec.optimizer == RECIPE else None)


@contextmanager
def _blame(spec: RunSpec, *where: str) -> Iterator[None]:
    """Say of a mistake which part of the spec it lies in."""
    try:
        yield
    except UsageError as error:
        raise Mistake(f"recipe {spec.recipe!r}: {error}", *where) from error


def require_data(config: Config, split: Split) -> None:
    """Check that the data of training, validation and, where tables report it, test exists.

    Raises:
        DatasetError: It does not.
    """
    require_dataset(config, ("train", "val", "test") if split == "test" else ("train", "val"))


def require_packages(config: Config) -> None:
    """Check that the optional package that the optimizer is from is installed.

    Raises:
        ConfigError: It is not.
    """
    require_timm(config.optim_wrapper.optimizer.type)


def require_pretrained(config: Config) -> None:
    """Check that the model's pretrained parts match their checkpoints, before anything trains.

    What is an address is downloaded, once: the runs find it in torch's cache, also where they are on machines
    without a network.

    Raises:
        CheckpointError: Most of a part does not, there is no such file, or it cannot be downloaded.
    """
    from mmengine.runner import load_checkpoint

    load_from = config.get("load_from")
    if load_from or names_pretrained(config.model):
        # What is said of a model is the runs' to say.
        with warnings.catch_warnings(), quiet(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            model = build_model(config, pretrained=True)
            if load_from:
                with loading(model, load_from, bool(config.get(ALLOW_PARTIAL))):
                    load_checkpoint(model, load_from, map_location="cpu")


def task(config: Config) -> str:
    """``detection``, ``segmentation`` or ``classification``."""
    found = _task(config)
    assert found is not None, "a config that was resolved has one"
    return found


def _task(config: Config) -> str | None:
    """The task of a config; None where it is of neither toolbox and no classifier."""
    model = config.get("model") or {}
    # An arm may have put a builder in the model's place.
    if type_name(model.get("of") or model.get("type", "")) == BackboneClassifier.__name__:
        return "classification"
    return _TASKS.get(_scope(config))


def _scope(config: Config) -> str:
    """``mmdet``, ``mmseg`` or another; a config in the new style leaves it to the path of its model."""
    model = config.get("model", {}).get("type", "")
    path = model if isinstance(model, str) else model.__module__
    return config.get("default_scope") or path.partition(".")[0]


def dataset_name(config: Config) -> str:
    """Name of the validation data: the last folder of its root, or else the dataset's class."""
    dataset = config.val_dataloader.dataset
    return Path(dataset.get("data_root") or "").name or type_name(dataset.get("type", ""))


def config_hash(content: dict[str, Any]) -> str:
    """SHA-256 of a resolved config's content, whatever the order of its keys."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(entry) for entry in value]
        return value if isinstance(value, (str, int, float, type(None))) else repr(value)

    return hashlib.sha256(json.dumps(plain(content), sort_keys=True).encode()).hexdigest()
