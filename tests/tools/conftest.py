"""Somebody's own folder, and a training in it that two processes have done."""

from __future__ import annotations

import pytest
from commands import succeed
from launching import DETECTOR, HOOKS, ROOT, SEGMENTOR, Folder

from wrs_mm.datasets import mini_detection, mini_segmentation, render_mini


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("some where")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_detection, "SPLITS", {"train2017": 7, "val2017": 1, "test2017": 1})
        # Five images for two processes: one of them has one less.
        cities = {"train": {"a": 8}, "val": {"b": 5}, "test": {"c": 5}}
        patch.setattr(mini_segmentation, "CITIES", cities)
        render_mini(path / "data")
    for name, text in {
        "my configs/segmentor.py": SEGMENTOR.format(root=ROOT),
        "my configs/detector.py": DETECTOR,
        "my modules/their_hooks.py": HOOKS,
    }.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)
    return Folder(path)


@pytest.fixture(scope="session")
def trained(folder: Folder) -> str:
    """Work dir of the segmentor, trained by two processes without interruption."""
    arguments = ["--work-dir", "trained", "--auto-scale-lr"]
    succeed(folder.run("dist_train.sh", folder.segmentor, "2", *arguments))
    return "trained"


@pytest.fixture
def here(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The folder, with this process in it, as the scripts' processes are."""
    monkeypatch.chdir(folder.path)
    monkeypatch.syspath_prepend(folder.path / "my modules")
    return folder
