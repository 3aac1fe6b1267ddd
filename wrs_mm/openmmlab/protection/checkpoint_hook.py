"""Checkpoints of which the last whole one is never gone."""

from __future__ import annotations

from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's hook, which removes the oldest checkpoint once the new one is on disk, not before.

    So there are never fewer than ``max_keep_ckpts``, also while one is being written.
    """

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        outdated = None
        keep: Any = getattr(self, "keep_ckpt_ids", ())
        if len(keep) == self.max_keep_ckpts and keep[-1] != step:
            outdated = keep.popleft()
        super()._save_checkpoint_with_step(runner, step, meta)
        if outdated is not None and is_main_process():
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(outdated))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
