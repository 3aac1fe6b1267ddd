"""Validation with the same buffers in every process."""

from __future__ import annotations

from typing import Any

from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class SameBuffersHook(Hook):
    """Validates, and tests, in every process with the buffers of the first: those that a checkpoint holds.

    BN that is not synchronized has other running statistics in each process, and a resumed process
    begins with the first one's: measured with their own, the parts of a validation set would be those of
    different networks, and of others after an interruption.
    """

    # After hooks that swap an averaged model in.
    priority = "LOWEST"

    def before_val_epoch(self, runner: Any) -> None:
        """Give every process the first one's buffers."""
        for buffer in runner.model.buffers():
            broadcast(buffer)

    def before_test_epoch(self, runner: Any) -> None:
        """The same."""
        self.before_val_epoch(runner)
