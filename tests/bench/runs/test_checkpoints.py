"""Which checkpoint a run goes on from, and how many there are while it is under way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from wrs_mm.bench.runs.checkpoints import last_good_checkpoint
from wrs_mm.bench.runs.hooks import SafeCheckpointHook
from wrs_mm.bench.runs.instrument import keep_checkpoints


def save(path: Path, **others: object) -> None:
    state = {"meta": {}, "state_dict": {"w": torch.ones(999)}, "optimizer": {}, "message_hub": {}}
    torch.save({**state, **others}, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("iter_5.pth", "iter_10.pth", "best_mIoU_iter_10.pth"):
        save(tmp_path / name)
    # The folder may have been moved since.
    (tmp_path / "last_checkpoint").write_text("/moved/elsewhere/iter_10.pth")
    return tmp_path


def test_the_last_checkpoint_is_the_one(folder):
    assert last_good_checkpoint(folder) == folder / "iter_10.pth"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


class Unknown:
    """A type that is not loaded from a checkpoint."""


def unloadable(path: Path) -> None:
    # A whole zip file, whose sums are right, and which torch refuses.
    save(path, hub=Unknown())


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty, unloadable])
def test_a_checkpoint_that_does_not_load_is_set_aside_for_the_one_before(folder, damage, capsys):
    damage(folder / "iter_10.pth")
    damaged = (folder / "iter_10.pth").read_bytes()
    assert last_good_checkpoint(folder) == folder / "iter_5.pth"
    assert (folder / "iter_10.damaged").read_bytes() == damaged
    assert "set aside as iter_10.damaged" in capsys.readouterr().err

    # It is damaged once more: what was set aside before stays.
    save(folder / "iter_10.pth")
    damage(folder / "iter_10.pth")
    damage(folder / "iter_5.pth")
    assert last_good_checkpoint(folder) is None
    assert {path.name for path in folder.glob("*damaged*")} == {
        "iter_10.damaged",
        "iter_10.damaged.2",
        "iter_5.damaged",
    }


def test_weights_alone_are_no_training_and_stay_where_they_are(folder):
    torch.save({"state_dict": {}}, folder / "published-12345678.pth")
    (folder / "last_checkpoint").write_text("published-12345678.pth")
    assert last_good_checkpoint(folder) == folder / "iter_10.pth"
    assert (folder / "published-12345678.pth").exists()


@pytest.mark.parametrize(
    ("hook", "kept"),
    [
        ({"type": "CheckpointHook", "max_keep_ckpts": 1}, 2),
        ({"type": "CheckpointHook", "max_keep_ckpts": 3}, 3),
        ({"type": "CheckpointHook"}, None),
        (None, None),
    ],
)
def test_a_recipe_keeps_at_least_two(hook, kept):
    config = Config({"default_hooks": {"checkpoint": hook}} if hook else {})
    keep_checkpoints(config)
    assert config.default_hooks.checkpoint.get("max_keep_ckpts") == kept
    assert config.default_hooks.checkpoint.type == "SafeCheckpointHook"


def test_a_recipe_without_checkpoints_and_one_with_a_hook_of_its_own_keep_what_they_have():
    config = Config({"default_hooks": {"checkpoint": None}})
    keep_checkpoints(config)
    assert config.default_hooks.checkpoint is None
    config = Config({"default_hooks": {"checkpoint": {"type": "Mine", "max_keep_ckpts": 1}}})
    keep_checkpoints(config)
    assert config.default_hooks.checkpoint.to_dict() == {"type": "Mine", "max_keep_ckpts": 2}


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
