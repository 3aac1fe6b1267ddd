"""What follows each real update of an optimizer."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer


def after_step(optimizer: Optimizer, then: Callable[[], None]) -> Callable[[], None]:
    """Call a function after each real update of an optimizer.

    The instance's ``step`` is wrapped, not hooked: hooks fire twice for an optimizer whose ``step`` calls its
    parent's, and not at all after a step that raised. A fused optimizer under GradScaler skips inside its own
    step and says so in ``found_inf``.

    Returns:
        A function that undoes it.
    """
    step = optimizer.step

    @functools.wraps(step)
    def step_and_then(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        found_inf = getattr(self, "found_inf", None)
        if found_inf is None or not bool(found_inf):
            then()
        return result

    # A bound method, because learning rate schedulers wrap ``step`` too and ask for its ``__func__``.
    bound = types.MethodType(step_and_then, optimizer)
    optimizer.step = bound

    def undo() -> None:
        if optimizer.__dict__.get("step") is bound:
            optimizer.step = step

    return undo
