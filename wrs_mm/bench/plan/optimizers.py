"""Another optimizer, or another learning rate, in a recipe.

A name stands for that optimizer with its own defaults, the same one in every recipe; of the recipe's
optimizer it keeps the learning rate and the weight decay, unless the plan says its own. ``recipe`` keeps
everything of the recipe's and changes only the options that the plan says. The names of :data:`STANDARD`, in
small letters, are the optimizers that are compared most often, with the momentum that is usual.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.registry import OPTIMIZERS

from wrs_mm.errors import OptionError, UsageError
from wrs_mm.values import did_you_mean, error_line, type_name

RECIPE = "recipe"
"""The recipe's own optimizer."""

KEPT = ("lr", "weight_decay")
"""What a named optimizer keeps of the recipe's."""

STANDARD: Mapping[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
}
"""By standard name, the class and the options that are not the class's defaults."""

_DECOUPLED = ("AdamW", "TimmAdamP", "TimmSGDP")
"""Optimizers that take weight decay off the weights."""

_L2 = ("SGD", "ASGD", "Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta")
"""Those of torch's that add it to the gradient, unless ``decoupled_weight_decay`` says otherwise."""


def class_name(name: str) -> str:
    """The class that an optimizer's name stands for, as a config's ``type``; ``recipe`` stays as it is."""
    return STANDARD[name][0] if name in STANDARD else name


def decay_meaning(optimizer: Mapping[str, Any]) -> str | None:
    """What weight decay means for a config's optimizer; None where that is not known.

    Args:
        optimizer: The value of ``optim_wrapper.optimizer``.
    """
    kind = type_name(optimizer.get("type", ""))
    if kind in _DECOUPLED or optimizer.get("decoupled_weight_decay"):
        return "decoupled"
    return "L2" if kind in _L2 else None


def _optimizer_class(name: str) -> Callable[..., Any]:
    """The class behind a name, or the function that builds one.

    Args:
        name: As a config's ``type``: registered with mmengine (``AdamW``), or its import path
            (``package.module.Class``).

    Raises:
        OptionError: There is none.
    """
    found: Callable[..., Any] | None = OPTIMIZERS.get(class_name(name))
    if callable(found):
        return found
    known = [entry for entry in OPTIMIZERS.module_dict if entry != "Optimizer"]
    same = [entry for entry in known if entry.lower() == name.lower()]
    hint = f"; did you mean {same[0]}?" if same else did_you_mean(name, known)
    hint = hint or f"; write one of {', '.join([RECIPE, *STANDARD, *sorted(known)])}"
    raise OptionError(
        f"optimizer {name!r} is not known{hint} (one that a package of yours brings: package.module.Class)"
    )


def check(name: str, options: Mapping[str, Any]) -> None:
    """Check an optimizer's name and its options, of the recipe's own none.

    Raises:
        OptionError: It does not exist, has no such option (the error's ``option`` is its name), refuses a
            value, or cannot train a network as mmengine does.
    """
    if name == RECIPE:
        return
    known = _parameters(name)
    for option in options:
        if known is not None and option not in known:
            raise OptionError(
                f"the optimizer {name} has no option {option!r}; its options are {', '.join(known)}",
                option,
            )
    _try(name, {key: value for key, value in options.items() if key != "lr"}, known)


def _try(name: str, options: Mapping[str, Any], known: list[str] | None) -> None:
    """Build an optimizer of one parameter.

    Raises:
        OptionError: That fails.
    """
    import torch

    make = _optimizer_class(name)
    _, usual = STANDARD.get(name, (name, {}))
    rate = {"lr": 0.1} if known is None or "lr" in known else {}
    try:
        built = make([torch.nn.Parameter(torch.zeros(2, 2))], **{**usual, **rate, **options})
    except UsageError:
        raise
    except Exception as error:  # whatever an optimizer of anybody's raises
        raise OptionError(f"the optimizer {name} does not go like this: {error_line(error)}") from error
    if not isinstance(built, torch.optim.Optimizer):
        raise OptionError(f"{name} is no optimizer")
    closure = inspect.signature(type(built).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise OptionError(
            f"the optimizer {name} asks for a closure in each step, which mmengine does not give"
        )


def with_optimizer(
    optimizer: Mapping[str, Any], name: str, options: Mapping[str, Any], learning_rate: float | None
) -> dict[str, Any]:
    """A recipe's ``optim_wrapper.optimizer`` with another optimizer, options or learning rate.

    Args:
        optimizer: The recipe's.
        name: ``recipe`` or an optimizer's name.
        options: The optimizer's options, without ``lr``.
        learning_rate: None for the recipe's.

    Returns:
        A new one.

    Raises:
        OptionError: The optimizer does not exist or has no such option.
    """
    if name == RECIPE:
        if options and isinstance(optimizer.get("type"), str):
            check(optimizer["type"], options)
        made = {**optimizer, **options}
    else:
        check(name, options)
        known = _parameters(name)
        kept = {key: optimizer[key] for key in KEPT if key in optimizer and (known is None or key in known)}
        kind, usual = STANDARD.get(name, (name, {}))
        made = {"type": kind, **usual, **kept, **options}
    return made if learning_rate is None else {**made, "lr": learning_rate}


def _parameters(name: str) -> list[str] | None:
    """Names of an optimizer's options; None where it takes any."""
    listed = inspect.signature(_optimizer_class(name)).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in listed):
        return None
    return [parameter.name for parameter in listed if parameter.name not in ("self", "params")]
