"""Another optimizer, or another learning rate, in a recipe.

A name stands for that optimizer with its own defaults, the same one in every recipe; of the recipe's
optimizer it keeps the learning rate and the weight decay, unless the plan says its own. ``recipe`` keeps
everything of the recipe's and changes only the options that the plan says.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.registry import OPTIMIZERS

from wrs_mm.errors import OptionError
from wrs_mm.values import did_you_mean

RECIPE = "recipe"
"""The recipe's own optimizer."""

KEPT = ("lr", "weight_decay")
"""What a named optimizer keeps of the recipe's."""


def _optimizer_class(name: str) -> type:
    """The class behind a name.

    Args:
        name: As a config's ``type``: registered with mmengine (``AdamW``), or its import path
            (``package.module.Class``).

    Raises:
        OptionError: There is none.
    """
    found = OPTIMIZERS.get(name)
    if inspect.isclass(found):
        return found
    known = [entry for entry in OPTIMIZERS.module_dict if entry != "Optimizer"]
    same = [entry for entry in known if entry.lower() == name.lower()]
    hint = f"; did you mean {same[0]}?" if same else did_you_mean(name, known)
    hint = hint or f"; write {RECIPE} or one of {', '.join(sorted(known))}"
    raise OptionError(
        f"optimizer {name!r} is not known{hint} (one that a package of yours brings: package.module.Class)"
    )


def check(name: str, options: Mapping[str, Any]) -> None:
    """Check an optimizer's name and the names of its options.

    Raises:
        OptionError: It does not exist or has no such option; the error's ``option`` is its name.
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
        made = {**optimizer, **options}
    else:
        check(name, options)
        known = _parameters(name)
        kept = {key: optimizer[key] for key in KEPT if key in optimizer and (known is None or key in known)}
        made = {"type": name, **kept, **options}
    return made if learning_rate is None else {**made, "lr": learning_rate}


def _parameters(name: str) -> list[str] | None:
    """Names of an optimizer's options; None where it takes any."""
    listed = inspect.signature(_optimizer_class(name)).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in listed):
        return None
    return [parameter.name for parameter in listed if parameter.name not in ("self", "params")]
