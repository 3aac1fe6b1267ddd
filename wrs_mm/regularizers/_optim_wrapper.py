"""What the regularizers share: a recipe's optim_wrapper with one of ours in place of its type."""

from __future__ import annotations

import inspect
from typing import Any

from mmengine.registry import OPTIMIZERS

from wrs_mm.engine.constructor import BASE_CONSTRUCTOR, DECAY_MULT, OTHER_DECAY_MULT
from wrs_mm.engine.step_rules import build_rule
from wrs_mm.errors import OptionError
from wrs_mm.rescaling import RescaleOptions
from wrs_mm.values import is_number, type_name

_CONSTRUCTOR = "ScaleInvariantOptimWrapperConstructor"
_DEFAULT_CONSTRUCTOR = "DefaultOptimWrapperConstructor"
_FAMILIES = (
    *("OptimWrapper", "ScaleInvariantOptimWrapper", "WRSOptimWrapper"),
    *("StepRuleOptimWrapper", "PBWNOptimWrapper"),
)

_OWN = ("wrs", "scale_invariance", "rule", "pbwn")
"""What our wrappers have beside mmengine's arguments; another arm's goes."""


def recipes_own(optim_wrapper: dict[str, Any]) -> dict[str, Any]:
    """The optim_wrapper of the recipe that one of ours was made of; any other is its own.

    A projected optimizer says nothing of what it was made of, and stays.
    """
    kind = type_name(optim_wrapper.get("type", "OptimWrapper"))
    if kind.removeprefix("Amp") not in _FAMILIES[1:]:
        return optim_wrapper
    left_out = (*_OWN, "constructor", "paramwise_cfg", BASE_CONSTRUCTOR)
    own = {key: value for key, value in optim_wrapper.items() if key not in left_out}
    own["type"] = ("Amp" if kind.startswith("Amp") else "") + "OptimWrapper"
    constructor = optim_wrapper.get("constructor", _CONSTRUCTOR)
    if BASE_CONSTRUCTOR in optim_wrapper or type_name(constructor) != _CONSTRUCTOR:
        own["constructor"] = optim_wrapper.get(BASE_CONSTRUCTOR, constructor)
    paramwise = dict(optim_wrapper.get("paramwise_cfg") or {})
    if paramwise := {k: v for k, v in paramwise.items() if k not in (DECAY_MULT, OTHER_DECAY_MULT)}:
        own["paramwise_cfg"] = paramwise
    return own


def with_type(optim_wrapper: dict[str, Any], kind: str) -> dict[str, Any]:
    """The same optim_wrapper as ``kind``, or as ``Amp<kind>`` where the recipe trains in mixed precision.

    A constructor of the recipe's own goes on making the groups.

    Raises:
        OptionError: The recipe's wrapper is one that ours cannot stand in for.
    """
    own = type_name(optim_wrapper.get("type", "OptimWrapper"))
    amp = "Amp" if own.startswith("Amp") else ""
    if own.removeprefix("Amp") not in _FAMILIES:
        raise OptionError(f"the recipe's optim_wrapper is a {own}, which {kind} cannot stand in for")
    rest = {key: value for key, value in optim_wrapper.items() if key not in _OWN}
    constructor = optim_wrapper.get("constructor", _DEFAULT_CONSTRUCTOR)
    if type_name(constructor) not in (_CONSTRUCTOR, _DEFAULT_CONSTRUCTOR):
        rest[BASE_CONSTRUCTOR] = constructor
    return {**rest, "type": amp + kind, "constructor": _CONSTRUCTOR}


def with_decay_mult(optim_wrapper: dict[str, Any], mult: float, key: str = DECAY_MULT) -> dict[str, Any]:
    """The same optim_wrapper with a factor on weight decay, by default that of scale-invariant weights."""
    paramwise = dict(optim_wrapper.get("paramwise_cfg") or {})
    return {**optim_wrapper, "paramwise_cfg": {**paramwise, key: mult}}


def with_weight_decay(optim_wrapper: dict[str, Any], weight_decay: float, arm: str) -> dict[str, Any]:
    """The same optim_wrapper with another weight decay of scale-invariant weights; all others keep theirs.

    Raises:
        OptionError: It is no number ≥ 0, or the recipe has no weight decay that could be multiplied.
    """
    if not is_number(weight_decay) or weight_decay < 0:
        raise OptionError(f"{arm}: weight_decay must be a number ≥ 0, not {weight_decay!r}")
    recipe = recipes_decay(optim_wrapper)
    if not recipe:
        raise OptionError(
            f"{arm}: the recipe has no weight_decay in its optimizer, which weight_decay is set against"
        )
    return with_decay_mult(optim_wrapper, weight_decay / recipe)


def with_selection(
    optim_wrapper: dict[str, Any], frozen_bn: str, granularity: str = "filter"
) -> dict[str, Any]:
    """The same optim_wrapper, a ScaleInvariantOptimWrapper, with what counts as scale-invariant.

    Args:
        optim_wrapper: The arm's.
        frozen_bn: ``'fold'`` where weights before frozen BN do.
        granularity: ``'group'`` where filters that GroupNorm or LayerNorm takes together do.

    Raises:
        OptionError: A value is out of its range.
    """
    changes = RescaleOptions(granularity=granularity, frozen_bn=frozen_bn).changes()
    return {**optim_wrapper, "scale_invariance": changes} if changes else optim_wrapper


def with_step_rule(
    optim_wrapper: dict[str, Any], rule: str, frozen_bn: str = "skip", **options: Any
) -> dict[str, Any]:
    """The same optim_wrapper with a step rule on the scale-invariant weights, and no weight decay on them.

    Args:
        optim_wrapper: The recipe's.
        rule: A registered step rule's name, or an import path.
        frozen_bn: ``'fold'`` counts weights before frozen BN as scale-invariant.
        **options: The rule's.

    Raises:
        OptionError: There is no such rule, or an option's name or value is wrong.
    """
    said = {"type": rule, **options}
    build_rule(said)
    return with_selection({**with_type(optim_wrapper, "StepRuleOptimWrapper"), "rule": said}, frozen_bn)


def recipes_decay(optim_wrapper: dict[str, Any]) -> Any:
    """The weight decay of a recipe's optimizer; where it says none, that of the optimizer's class.

    AdamW's is 0.01. An optimizer that is not registered, or says nothing of weight decay, has 0.
    """
    optimizer = optim_wrapper["optimizer"]
    if "weight_decay" in optimizer:
        return optimizer["weight_decay"]
    kind = optimizer.get("type")
    made = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    default = inspect.signature(made).parameters.get("weight_decay") if callable(made) else None
    return 0.0 if default is None or default.default is inspect.Parameter.empty else default.default


def strength_of(optim_wrapper: dict[str, Any], weight_decay: float | None, arm: str) -> float:
    """The strength of weight decay that an arm was given, or else the recipe's.

    Raises:
        OptionError: It is no number > 0.
    """
    strength = recipes_decay(optim_wrapper) if weight_decay is None else weight_decay
    if weight_decay is None and not strength:
        raise OptionError(f"{arm}: the recipe's optimizer has no weight_decay to go by: give {arm} one")
    if not (is_number(strength) and strength > 0):
        raise OptionError(f"{arm}: weight_decay must be a number > 0, not {strength!r}")
    return float(strength)
