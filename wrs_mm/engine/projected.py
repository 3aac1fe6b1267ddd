"""timm's projected optimizers (Heo et al., ICLR 2021) for mmengine; timm is imported when one is built."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from mmengine.registry import OPTIMIZERS
from torch.optim import Optimizer

from wrs_mm.errors import ConfigError
from wrs_mm.values import type_name

SGDP, ADAMP = "TimmSGDP", "TimmAdamP"
"""What a config's ``optimizer.type`` says; timm's own names, and whose they are."""


@OPTIMIZERS.register_module(name=SGDP)
def sgdp(params: Any, **options: Any) -> Optimizer:
    """Build timm's SGDP; options as there.

    Raises:
        ConfigError: timm is not installed.
    """
    return _class(SGDP)(params, **options)


@OPTIMIZERS.register_module(name=ADAMP)
def adamp(params: Any, **options: Any) -> Optimizer:
    """Build timm's AdamP; options as there.

    Raises:
        ConfigError: timm is not installed.
    """
    return _class(ADAMP)(params, **options)


def _class(name: str) -> Callable[..., Optimizer]:
    """Timm's class; importing timm takes seconds."""
    require_timm(name)
    found: Callable[..., Optimizer] = getattr(
        importlib.import_module("timm.optim"), name.removeprefix("Timm")
    )
    return found


def require_timm(optimizer: Any) -> None:
    """Check that timm is there, where an optimizer needs it.

    Args:
        optimizer: A config's ``optimizer.type``; one that does not need it is fine in any case.

    Raises:
        ConfigError: It is not.
    """
    if type_name(optimizer) in (SGDP, ADAMP) and importlib.util.find_spec("timm") is None:
        raise ConfigError(
            f"the optimizer {type_name(optimizer)} needs timm, which is not installed: "
            "pip install 'wrs-mm[timm]'"
        )
