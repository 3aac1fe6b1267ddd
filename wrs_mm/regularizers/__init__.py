"""The arms of a comparison: what is done to the scale-invariant weights.

One file each, with one function, whose first parameter says what of the recipe it takes and returns anew:
``optim_wrapper``, or ``cfg``, the whole config as a dictionary, of which it returns the top-level keys that
change. The other parameters are the arm's options. Nothing else that trains changes, so a difference between
two arms is the regularizer's. Somebody else's is such a function in a package of theirs, named by its import
path (docs/add-your-method.md).

What suits a recipe, it says itself, by a key of its own: ``regularizers = dict(wrs=dict(frozen_bn='fold'))``.
There, an arm may also have a learning rate of its own, ``wrs=dict(lr=0.05)``: each arm as it was tuned.
"""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mmengine.config import Config

from wrs_mm.errors import OptionError, UsageError
from wrs_mm.regularizers._optim_wrapper import recipes_own, with_step_rule
from wrs_mm.regularizers.hyperball import hyperball
from wrs_mm.regularizers.ic import ic
from wrs_mm.regularizers.none import none
from wrs_mm.regularizers.pbwn import pbwn
from wrs_mm.regularizers.projected import projected
from wrs_mm.regularizers.rotational import rotational
from wrs_mm.regularizers.scale_lr import scale_lr
from wrs_mm.regularizers.shifted import shifted
from wrs_mm.regularizers.wd import wd
from wrs_mm.regularizers.wrs import wrs
from wrs_mm.regularizers.wrs_matched import wrs_matched
from wrs_mm.regularizers.ws import ws
from wrs_mm.values import did_you_mean, error_line, is_number

Regularizer: TypeAlias = "Callable[..., dict[str, Any]]"
"""``f(optim_wrapper, **options)`` or ``f(cfg, **options)``; see the head of this module."""

REGULARIZERS: Mapping[str, Regularizer] = {
    "none": none,
    "wd": wd,
    "wrs": wrs,
    "wrs_matched": wrs_matched,
    "ws": ws,
    "projected": projected,
    "ic": ic,
    "scale_lr": scale_lr,
    "pbwn": pbwn,
    "hyperball": hyperball,
    "rotational": rotational,
    "shifted": shifted,
}
"""By name, what makes an arm of a recipe and the regularizer's options."""

_TAKES = ("optim_wrapper", "cfg")
"""What a regularizer's first parameter may be called."""

_PLAIN = {
    "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}}
}
"""A recipe to try the options of ours on where there is none."""

__all__ = [
    "RECIPE_KEY",
    "REGULARIZERS",
    "Regularizer",
    "apply_regularizer",
    "check",
    "find",
    "names",
    "recipe_options",
    "with_step_rule",
]

RECIPE_KEY = "regularizers"
"""The key of a config that says the options of its arms, by regularizer; no Runner reads it."""


def names() -> tuple[str, ...]:
    """The names of all regularizers."""
    return tuple(REGULARIZERS)


def find(name: str) -> Regularizer:
    """The regularizer of a name.

    Args:
        name: One of :func:`names`, or the import path of somebody else's (``package.module.function``).

    Raises:
        OptionError: There is no such regularizer, or it takes neither ``optim_wrapper`` nor ``cfg``.
    """
    if not isinstance(name, str):
        raise OptionError(f"{name!r} is not the name of a regularizer")
    regularizer = REGULARIZERS.get(name) or _imported(name)
    try:
        takes, *_ = (*inspect.signature(regularizer).parameters, "")
    except (TypeError, ValueError):  # of some that C makes
        takes = ""
    if takes not in _TAKES:
        raise OptionError(f"the first parameter of the regularizer {name!r} must be {' or '.join(_TAKES)}")
    return regularizer


def _imported(name: str) -> Regularizer:
    """Somebody else's regularizer.

    Raises:
        OptionError: There is none at that path; the line says how far it leads.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        raise OptionError(
            f"there is no regularizer {name!r}; there are {', '.join(REGULARIZERS)} (one that a package of "
            "yours brings: package.module.function)"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise OptionError(
                f"regularizer {name!r}: {module_name} needs {error.name}: install it"
            ) from error
        raise OptionError(
            f"regularizer {name!r}: there is no module {error.name}: install its package, or put the folder "
            "that it lies in on PYTHONPATH"
        ) from error
    except Exception as error:  # whatever a file of somebody else's raises
        raise OptionError(
            f"regularizer {name!r}: importing {module_name} fails: {error_line(error)}"
        ) from error
    if not hasattr(module, attribute):
        hint = did_you_mean(attribute, [word for word in vars(module) if not word.startswith("_")])
        raise OptionError(f"regularizer {name!r}: {module_name} has no {attribute!r}{hint}")
    regularizer = getattr(module, attribute)
    if not callable(regularizer) or inspect.isclass(regularizer):
        raise OptionError(f"regularizer {name!r} is no function, but {regularizer!r}")
    return regularizer


def _changes(name: str, cfg: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level keys of a config that a regularizer changes.

    Raises:
        OptionError: It refuses, or it is somebody else's and fails, or returns something else.
    """
    regularizer = find(name)
    takes, *_ = inspect.signature(regularizer).parameters
    try:
        made = regularizer(cfg if takes == "cfg" else cfg[takes], **options)
    except UsageError:
        raise
    except Exception as error:
        if name in REGULARIZERS:
            raise
        raise OptionError(f"the regularizer {name!r} fails: {error_line(error)}") from error
    if not isinstance(made, Mapping) or (takes != "cfg" and "optimizer" not in made):
        wanted = "the keys of the config that change" if takes == "cfg" else "the arm's optim_wrapper"
        raise OptionError(f"the regularizer {name!r} must return {wanted}, as a dictionary; it did {made!r}")
    return dict(made) if takes == "cfg" else {takes: made}


def check(name: str, /, *, lr: Any = None, **options: Any) -> None:
    """Check a regularizer's name and options without a recipe; of somebody else's not the options' values.

    Theirs may be made for recipes of one kind, so that they are tried on real ones only.

    Args:
        name: The regularizer.
        lr: The arm's own learning rate, which every regularizer takes beside its options; None for none.
        **options: Its options.

    Raises:
        OptionError: It does not exist, has no such option, or the value is out of its range; its ``option``
            says which one is to blame.
    """
    known = tuple(inspect.signature(find(name)).parameters)[1:]
    for option in options:
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has none"
            raise OptionError(f"the regularizer {name!r} has no option {option!r}: {has}", option)
    if name in REGULARIZERS:
        for option, value in options.items():
            try:
                _changes(name, copy.deepcopy(_PLAIN), {option: value})
            except OptionError as error:
                raise OptionError(str(error), option) from None
        _changes(name, copy.deepcopy(_PLAIN), options)
    if lr is not None and not (is_number(lr) and lr > 0):
        raise OptionError(f"{name}: lr must be a positive number, not {lr!r}", "lr")


def recipe_options(cfg: Config) -> dict[str, dict[str, Any]]:
    """The options that a recipe itself gives its arms, by regularizer; ``lr`` may be among them.

    Raises:
        OptionError: A regularizer or an option does not exist; the line names the recipe's file.
    """
    said = cfg.get(RECIPE_KEY) or {}
    try:
        if not isinstance(said, Mapping):
            raise OptionError(f"write dict(wrs=dict(...)), not {said!r}")
        for name, options in said.items():
            if not isinstance(options, Mapping):
                raise OptionError(f"write {name}=dict(...), not {options!r}")
            check(name, **options)
    except OptionError as error:
        raise OptionError(f"{cfg.filename or 'the config'}: {RECIPE_KEY}: {error}") from error
    return {name: dict(options) for name, options in said.items()}


def apply_regularizer(cfg: Config, name: str, /, **options: Any) -> Config:
    """An arm of a recipe: a new config in which the regularizer has changed what it changes.

    Beside that, the recipe's key ``regularizers`` is left out, and ``custom_imports`` names wrs_mm.

    Args:
        cfg: The recipe; left as it is.
        name: The regularizer.
        **options: Its options and ``lr``, over those that the recipe gives it (:func:`recipe_options`).

    Raises:
        OptionError: The regularizer or an option does not exist, or does not go with this recipe.
    """
    _require_one_optimizer(cfg)
    options = {**recipe_options(cfg).get(name, {}), **options}
    check(name, **options)
    lr = options.pop("lr", None)
    arm = copy.deepcopy(cfg)
    # An arm has no arms; what one of ours said goes.
    arm.pop(RECIPE_KEY, None)
    arm.optim_wrapper = recipes_own(arm.to_dict()["optim_wrapper"])
    if lr is not None:
        arm.optim_wrapper.optimizer.lr = lr
    for key, value in _changes(name, arm.to_dict(), options).items():
        arm[key] = value
    imports = arm.get("custom_imports") or {"allow_failed_imports": False}
    named = imports.get("imports") or []
    named = [named] if isinstance(named, str) else list(named)
    # Whatever else registers what the arm is made of is in the file that makes it.
    needed = ["wrs_mm", *([] if name in REGULARIZERS else [name.rpartition(".")[0]])]
    missing = [module for module in needed if module not in named]
    if missing:
        arm.custom_imports = {**imports, "imports": [*named, *missing]}
    return arm


def _require_one_optimizer(cfg: Config) -> None:
    """Check that a recipe has one optimizer, whose weight decay an arm can be about."""
    file = cfg.filename or "the config"
    optim_wrapper = cfg.get("optim_wrapper")
    if not isinstance(optim_wrapper, Mapping):
        raise OptionError(f"{file}: it trains nothing: an arm needs optim_wrapper=dict(optimizer=dict(...))")
    if not isinstance(optim_wrapper.get("optimizer"), Mapping):
        several = [
            key for key, value in optim_wrapper.items() if isinstance(value, Mapping) and "optimizer" in value
        ]
        has = f"several optimizers ({', '.join(several)})" if several else "no optimizer=dict(...)"
        raise OptionError(
            f"{file}: its optim_wrapper has {has}; arms are for one optimizer, not for an OptimWrapperDict"
        )
    paramwise = optim_wrapper.get("paramwise_cfg")
    if paramwise is not None and not isinstance(paramwise, Mapping):
        raise OptionError(f"{file}: paramwise_cfg in its optim_wrapper must be a dict, not {paramwise!r}")
