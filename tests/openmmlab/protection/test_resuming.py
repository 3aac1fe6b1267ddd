"""Which checkpoint a training goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wrs_mm.openmmlab.protection.resuming import last_good_checkpoint


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
    assert (folder / "last_checkpoint").read_text() == str(folder / "iter_5.pth")

    # It is damaged once more: what was set aside before stays.
    save(folder / "iter_10.pth")
    damage(folder / "iter_10.pth")
    damage(folder / "iter_5.pth")
    assert last_good_checkpoint(folder) is None
    assert not (folder / "last_checkpoint").exists()
    assert {path.name for path in folder.glob("*damaged*")} == {
        "iter_10.damaged",
        "iter_10.damaged.2",
        "iter_5.damaged",
    }


def test_checkpoints_in_a_folder_of_their_own_are_found_there(folder, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("work")
    (work_dir / "last_checkpoint").write_text(str(folder / "iter_10.pth"))
    cut(folder / "iter_10.pth")
    assert last_good_checkpoint(work_dir) == folder / "iter_5.pth"
    assert (work_dir / "last_checkpoint").read_text() == str(folder / "iter_5.pth")


def test_weights_alone_are_no_training_and_stay_where_they_are(folder):
    torch.save({"state_dict": {}}, folder / "published-12345678.pth")
    (folder / "last_checkpoint").write_text("published-12345678.pth")
    assert last_good_checkpoint(folder) == folder / "iter_10.pth"
    assert (folder / "published-12345678.pth").exists()
