"""The arms of a comparison: what is done to the scale-invariant weights.

One file each, with one function: it takes a recipe's ``optim_wrapper`` and its options, and returns the arm's
``optim_wrapper``. Nothing else that trains changes, so a difference between two arms is the regularizer's.

What suits a recipe, it says itself, by a key of its own: ``regularizers = dict(wrs=dict(frozen_bn='fold'))``.
There, an arm may also have a learning rate of its own, ``wrs=dict(lr=0.05)``: each arm as it was tuned.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config

from wrs_mm.errors import OptionError
from wrs_mm.regularizers.none import none
from wrs_mm.regularizers.wd import wd
from wrs_mm.regularizers.wrs import wrs
from wrs_mm.regularizers.wrs_matched import wrs_matched
from wrs_mm.values import is_number

REGULARIZERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "none": none,
    "wd": wd,
    "wrs": wrs,
    "wrs_matched": wrs_matched,
}
"""By name, what makes an arm's ``optim_wrapper`` of a recipe's and the regularizer's options."""

RECIPE_KEY = "regularizers"
"""The key of a config that says the options of its arms, by regularizer; no Runner reads it."""


def names() -> tuple[str, ...]:
    """The names of all regularizers."""
    return tuple(REGULARIZERS)


def _options_of(name: str) -> tuple[str, ...]:
    """The names of a regularizer's options.

    Raises:
        OptionError: There is no such regularizer.
    """
    if name not in REGULARIZERS:
        raise OptionError(f"there is no regularizer {name!r}; there are {', '.join(REGULARIZERS)}")
    return tuple(inspect.signature(REGULARIZERS[name]).parameters)[1:]


def check(name: str, *, lr: Any = None, **options: Any) -> None:
    """Check a regularizer's name and options without a recipe.

    Args:
        name: The regularizer.
        lr: The arm's own learning rate, which every regularizer takes beside its options; None for none.
        **options: Its options.

    Raises:
        OptionError: It does not exist, has no such option, or the value is out of its range; its ``option``
            says which one is to blame.
    """
    known = _options_of(name)
    for option in options:
        if option not in known:
            has = f"its options are {', '.join(known)}" if known else "it has none"
            raise OptionError(f"the regularizer {name!r} has no option {option!r}: {has}", option)
    plain = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}}
    for option, value in options.items():
        try:
            REGULARIZERS[name](plain, **{option: value})
        except OptionError as error:
            raise OptionError(str(error), option) from None
    REGULARIZERS[name](plain, **options)
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


def apply_regularizer(cfg: Config, name: str, **options: Any) -> Config:
    """An arm of a recipe: a new config with another ``optim_wrapper``.

    Beside it, the recipe's key ``regularizers`` is left out, and ``custom_imports`` names wrs_mm.

    Args:
        cfg: The recipe; left as it is.
        name: The regularizer.
        **options: Its options and ``lr``, over those that the recipe gives it (:func:`recipe_options`).

    Raises:
        OptionError: The regularizer or an option does not exist, or does not go with this recipe.
    """
    options = {**recipe_options(cfg).get(name, {}), **options}
    check(name, **options)
    lr = options.pop("lr", None)
    arm = copy.deepcopy(cfg)
    # An arm has no arms.
    arm.pop(RECIPE_KEY, None)
    optim_wrapper = copy.deepcopy(cfg.optim_wrapper.to_dict())
    if lr is not None:
        optim_wrapper["optimizer"]["lr"] = lr
    arm.optim_wrapper = REGULARIZERS[name](optim_wrapper, **options)
    imports = arm.get("custom_imports") or {"imports": [], "allow_failed_imports": False}
    if "wrs_mm" not in imports["imports"]:
        arm.custom_imports = {**imports, "imports": [*imports["imports"], "wrs_mm"]}
    return arm
