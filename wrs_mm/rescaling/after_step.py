"""What stands around, or follows, each real update of an optimizer."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch.optim import Optimizer


def around_step(
    optimizer: Optimizer, context: Callable[..., AbstractContextManager[None]]
) -> Callable[[], None]:
    """Make each real update of an optimizer within a context.

    The instance's ``step`` is wrapped, not hooked: hooks fire twice for an optimizer whose ``step`` calls its
    parent's, and not at all after a step that raised. A fused optimizer under GradScaler skips inside its own
    step and says so in ``found_inf``, from before the step on: that one is made without the context.

    Args:
        optimizer: Any of torch's interface.
        context: Called with the arguments of the step.

    Returns:
        A function that undoes it.
    """
    step = optimizer.step

    @functools.wraps(step)
    def step_within(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        found_inf = getattr(self, "found_inf", None)
        if found_inf is not None and bool(found_inf):
            return step(*args, **kwargs)
        with context(*args, **kwargs):
            return step(*args, **kwargs)

    # A bound method, because learning rate schedulers wrap ``step`` too and ask for its ``__func__``.
    bound = types.MethodType(step_within, optimizer)
    optimizer.step = bound

    def undo() -> None:
        if optimizer.__dict__.get("step") is bound:
            optimizer.step = step

    return undo


def after_step(optimizer: Optimizer, then: Callable[[], None]) -> Callable[[], None]:
    """Call a function after each real update of an optimizer; as :func:`around_step`."""

    @contextmanager
    def context(*_: Any, **__: Any) -> Iterator[None]:
        yield
        then()

    return around_step(optimizer, context)
