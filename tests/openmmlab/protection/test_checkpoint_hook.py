"""Checkpoints while the next one is written."""

from __future__ import annotations

from pathlib import Path

from wrs_mm.openmmlab.protection.checkpoint_hook import SafeCheckpointHook


class Runner:
    """As much of mmengine's runner as its checkpoint hook needs."""

    def __init__(self, folder: Path) -> None:
        self.work_dir = str(folder)
        self.folder = folder
        self.epoch, self.iter = 0, 0
        self.seen: list[list[str]] = []
        self.message_hub = self
        self.runtime_info: dict[str, object] = {}

    def update_info(self, key: str, value: object) -> None:
        self.runtime_info[key] = value

    def save_checkpoint(self, out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        # What a kill at this moment would leave.
        self.seen.append(sorted(path.name for path in self.folder.glob("*.pth")))
        (self.folder / filename).touch()

    @property
    def logger(self):
        return self

    def info(self, message: str) -> None:
        pass


def test_two_checkpoints_are_there_also_while_the_next_is_written(tmp_path):
    runner = Runner(tmp_path)
    hook = SafeCheckpointHook(interval=1, by_epoch=False, max_keep_ckpts=2, save_last=False)
    hook.before_train(runner)
    for runner.iter in range(4):
        hook.after_train_iter(runner, 0)
    assert runner.seen == [
        [],
        ["iter_1.pth"],
        ["iter_1.pth", "iter_2.pth"],
        ["iter_2.pth", "iter_3.pth"],
    ]
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["iter_3.pth", "iter_4.pth"]
    assert runner.runtime_info["keep_ckpt_ids"] == [3, 4]
