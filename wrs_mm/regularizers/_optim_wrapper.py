"""What the regularizers share: a recipe's optim_wrapper with one of ours in place of its type."""

from __future__ import annotations

from typing import Any

from wrs_mm.engine.constructor import DECAY_MULT
from wrs_mm.errors import OptionError

CONSTRUCTOR = "ScaleInvariantOptimWrapperConstructor"
DEFAULT_CONSTRUCTOR = "DefaultOptimWrapperConstructor"
FAMILIES = ("OptimWrapper", "ScaleInvariantOptimWrapper", "WRSOptimWrapper")


def with_type(optim_wrapper: dict[str, Any], kind: str) -> dict[str, Any]:
    """The same optim_wrapper as ``kind``, or as ``Amp<kind>`` where the recipe trains in mixed precision.

    Raises:
        OptionError: The recipe's wrapper or constructor is one that ours cannot stand in for.
    """
    own = _bare(optim_wrapper.get("type", "OptimWrapper"))
    amp = "Amp" if own.startswith("Amp") else ""
    if own.removeprefix("Amp") not in FAMILIES:
        raise OptionError(f"the recipe's optim_wrapper is a {own}, which {kind} cannot stand in for")
    constructor = _bare(optim_wrapper.get("constructor", DEFAULT_CONSTRUCTOR))
    if constructor not in (CONSTRUCTOR, DEFAULT_CONSTRUCTOR):
        raise OptionError(
            f"the recipe's optim_wrapper has constructor={constructor!r}; {kind} needs its own: "
            "remove it, or say its settings in paramwise_cfg"
        )
    rest = {key: value for key, value in optim_wrapper.items() if key not in ("wrs", "scale_invariance")}
    return {**rest, "type": amp + kind, "constructor": CONSTRUCTOR}


def _bare(kind: Any) -> str:
    """The name of a class; configs in mmengine's new style give the class itself, or its import path."""
    return kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__


def with_decay_mult(optim_wrapper: dict[str, Any], mult: float, key: str = DECAY_MULT) -> dict[str, Any]:
    """The same optim_wrapper with a factor on weight decay, by default that of scale-invariant weights."""
    paramwise = dict(optim_wrapper.get("paramwise_cfg") or {})
    return {**optim_wrapper, "paramwise_cfg": {**paramwise, key: mult}}
