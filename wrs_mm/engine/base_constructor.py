"""A recipe's own constructor (layer decay, say) makes the optimizer; our wrapper goes around it.

Which groups a constructor makes, and what it writes into them, is its own affair: it is called as mmengine
would, with a plain OptimWrapper, and of that the optimizer is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn
from torch.optim import Optimizer

from wrs_mm.errors import OptionError
from wrs_mm.values import did_you_mean, type_name

_OF_EVERY_WRAPPER = ("accumulative_counts", "clip_grad")
"""What every OptimWrapper takes, so that a constructor sees it as it would without us."""

_COMPARED = ("_accumulative_counts", "clip_grad_kwargs", "clip_func", "grad_name")
"""What a constructor must leave as the config has it: only its optimizer goes on."""


def build_base_optimizer(
    kind: Any,
    model: nn.Module,
    optimizer_cfg: Mapping[str, Any],
    paramwise_cfg: Mapping[str, Any] | None,
    wrapper_cfg: Mapping[str, Any],
) -> Optimizer:
    """The optimizer that a recipe's own constructor makes for a model.

    Args:
        kind: The constructor's ``type``: a registered name, an import path or the class.
        model: The model.
        optimizer_cfg: The config of the optimizer.
        paramwise_cfg: The config of the groups, without our own keys.
        wrapper_cfg: All else that optim_wrapper says.

    Raises:
        OptionError: There is no such constructor, or it makes more than an optimizer.
    """
    with OPTIM_WRAPPER_CONSTRUCTORS.switch_scope_and_registry(None) as registry:
        if isinstance(kind, str) and registry.get(kind) is None:
            hint = did_you_mean(kind, registry.module_dict)
            raise OptionError(f"optim_wrapper: there is no constructor {kind!r} for base_constructor{hint}")
    said = {key: wrapper_cfg[key] for key in _OF_EVERY_WRAPPER if key in wrapper_cfg}
    config = {"type": "OptimWrapper", "optimizer": optimizer_cfg, **said}
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        {"type": kind, "optim_wrapper_cfg": config, "paramwise_cfg": paramwise_cfg}
    )
    made = constructor(model)
    if type(made) is not OptimWrapper:
        raise OptionError(
            f"base_constructor={type_name(kind)!r} makes a {type(made).__name__}, which our wrappers cannot "
            "stand in for: they are for one optimizer in a plain OptimWrapper"
        )
    plain = OptimWrapper(made.optimizer, **said)
    changed = [name for name in _COMPARED if getattr(made, name, None) != getattr(plain, name, None)]
    if changed:
        raise OptionError(
            f"base_constructor={type_name(kind)!r} sets {', '.join(changed)} of the wrapper that it makes, "
            "which ours would not have: say it in optim_wrapper"
        )
    return made.optimizer
