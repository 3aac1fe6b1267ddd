"""The optimizer's projected form (Heo et al., ICLR 2021): timm's SGDP, or AdamP for Adam and AdamW."""

from __future__ import annotations

from typing import Any

from wrs_mm.engine.projected import ADAMP, SGDP
from wrs_mm.errors import OptionError
from wrs_mm.regularizers._optim_wrapper import with_type, with_weight_decay
from wrs_mm.values import is_number, type_name

_FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": (SGDP, {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}),
    "Adam": (ADAMP, {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}),
    "AdamW": (ADAMP, {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2}),
}
"""By optimizer, its projected form and the options that both have, with torch's defaults for them."""

_OF_TIMM = {"lr": None, "momentum": 0, "dampening": 0, "nesterov": False, "weight_decay": 0}
"""timm's own defaults where a config leaves an option out; others are torch's."""

_HOW = ("foreach", "fused", "capturable")
"""Options of torch's that change how an update is computed and not what it is; timm has none of them."""


def projected(
    optim_wrapper: dict[str, Any],
    delta: float = 0.1,
    wd_ratio: float = 0.1,
    weight_decay: float | None = None,
) -> dict[str, Any]:
    """The projected form of the recipe's optimizer, SGDP or AdamP; weight decay as the recipe has it.

    Args:
        optim_wrapper: The recipe's.
        delta: A weight counts as scale-invariant in a step if the cosine between it and its gradient is below
            ``delta / √n``, n its size (by filter, else by layer): the authors' test, and their value.
        wd_ratio: Factor on the weight decay of a weight that counts as one in the step.
        weight_decay: Weight decay of the scale-invariant weights, as our verdicts have them; all others keep
            the recipe's. None is the recipe's for all.

    Raises:
        OptionError: An option is out of its range, or the recipe's optimizer has no projected form.
    """
    for name, value in (("delta", delta), ("wd_ratio", wd_ratio)):
        if not is_number(value) or value < 0:
            raise OptionError(f"projected: {name} must be a number ≥ 0, not {value!r}")
    arm = {**optim_wrapper, "optimizer": _project(optim_wrapper["optimizer"], delta, wd_ratio)}
    if weight_decay is None:
        return arm
    return with_weight_decay(with_type(arm, "ScaleInvariantOptimWrapper"), weight_decay, "projected")


def _project(optimizer: dict[str, Any], delta: float, wd_ratio: float) -> dict[str, Any]:
    """An optimizer's projected form, with the options that both have."""
    kind = type_name(optimizer.get("type", ""))
    if kind not in _FORMS:
        raise OptionError(
            f"projected: there is a projected form of {', '.join(_FORMS)}, and the recipe's optimizer is "
            f"{kind}"
        )
    form, shared = _FORMS[kind]
    kept = {}
    for name, value in optimizer.items():
        if name in shared:
            kept[name] = value
        elif name != "type" and name not in _HOW and value:
            raise OptionError(
                f"projected: {form.removeprefix('Timm')} has nothing like {kind}'s {name}={value!r}"
            )
    # Where torch's default is another than timm's, it is said.
    for name, value in shared.items():
        if name not in kept and _OF_TIMM.get(name, value) != value:
            kept[name] = value
    return {"type": form, **kept, "delta": delta, "wd_ratio": wd_ratio}
