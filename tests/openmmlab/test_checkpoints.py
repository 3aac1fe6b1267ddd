from __future__ import annotations

import builtins
import datetime
import os
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner.checkpoint import find_latest_checkpoint, load_checkpoint
from torch import nn

from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab import prepare
from wrs_mm.openmmlab.checkpoints import last_checkpoint, load_checkpoint_file


@pytest.fixture(autouse=True)
def prepared():
    prepare()


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs, mode="tensor"):
        return {"loss": self.layer(torch.stack(inputs)).square().mean()}


class Points(torch.utils.data.Dataset):
    metainfo = {"classes": ("a", "b"), "palette": np.arange(6).reshape(2, 3)}  # noqa: RUF012

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"inputs": torch.tensor([float(index)])}


def make_runner(work_dir: Path, schedulers=(), **options) -> Runner:
    options.setdefault("train_cfg", {"by_epoch": False, "max_iters": 4})
    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader={
            "dataset": Points(),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "batch_size": 1,
        },
        optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.1}},
        param_scheduler=list(schedulers) or None,
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 2, "by_epoch": False}},
        experiment_name=f"{work_dir.name}-{random.random()}",
        default_scope="mmengine",
        **options,
    )


SCHEDULERS = [
    {"type": "MultiStepLR", "milestones": [1, 3], "by_epoch": False},
    {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False},
    {"type": "CosineAnnealingLR", "T_max": 4, "by_epoch": False},
    {"type": "PolyLR", "eta_min": 1e-4, "begin": 0, "end": 4, "by_epoch": False},
    {"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 4, "by_epoch": False},
    {"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 4, "by_epoch": False, "anneal_strategy": "linear"},
    {"type": "ReduceOnPlateauLR", "monitor": "loss"},
]


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda scheduler: scheduler["type"])
def test_a_checkpoint_with_any_scheduler_resumes(tmp_path, scheduler):
    first = make_runner(tmp_path, [scheduler])
    first.train()
    again = make_runner(tmp_path, [scheduler], resume=True, train_cfg={"by_epoch": False, "max_iters": 6})
    again.train()
    assert again.iter == 6
    assert again.message_hub.get_scalar("train/loss")._log_history.size == 6


def test_what_mmengine_and_our_hooks_save_comes_back(tmp_path):
    history = HistoryBuffer()
    history.update(1.5)
    saved = {
        "state_dict": OrderedDict(weight=torch.ones(2)),
        "message_hub": {"log_scalars": OrderedDict(loss=history)},
        "numbers": [np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True), np.uint8(1)],
        "arrays": [np.arange(3), np.ones(2, np.float32), np.array(["a", "b"]), np.array([True])],
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    path = tmp_path / "a.pth"
    torch.save(saved, path)
    loaded = load_checkpoint_file(path)
    assert loaded["message_hub"]["log_scalars"]["loss"].current() == 1.5
    assert loaded["numbers"] == saved["numbers"]
    for array, expected in zip(loaded["arrays"], saved["arrays"], strict=True):
        assert array.dtype == expected.dtype
        assert (array == expected).all()
    random.setstate(loaded["python"])
    np.random.set_state(loaded["numpy"])
    torch.set_rng_state(loaded["torch"])
    assert random.getstate() == saved["python"]
    assert (np.random.get_state()[1] == saved["numpy"][1]).all()


def test_the_old_format_of_torch_and_the_old_name_of_numpy_load(tmp_path):
    legacy, old_numpy = tmp_path / "legacy.pth", tmp_path / "numpy1.pth"
    torch.save({"w": torch.ones(2), "n": np.ones(2)}, legacy, _use_new_zipfile_serialization=False)
    assert load_checkpoint_file(legacy)["n"].sum() == 2
    data = legacy.read_bytes()
    assert b"numpy._core.multiarray" in data
    old_numpy.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load_checkpoint_file(old_numpy)["n"].sum() == 2


class Runs:
    ran = False

    def __reduce__(self):
        return (setattr, (Runs, "ran", True))


FORBIDDEN = {
    "datetime.timedelta": datetime.timedelta(1),
    "builtins.setattr": Runs(),
    "posix.system": os.system,
    "builtins.eval": builtins.eval,
    "torch.nn.modules.linear.Linear": nn.Linear(1, 1),
}


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("name", FORBIDDEN)
def test_anything_else_is_refused_in_one_line_that_names_it(tmp_path, name, new_format):
    path = tmp_path / "bad.pth"
    content = {"state_dict": {"w": torch.ones(1)}, "meta": FORBIDDEN[name]}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(nn.Linear(1, 1), str(path))
    message = str(caught.value)
    assert name in message
    assert str(path) in message
    assert "\n" not in message
    assert not Runs.ran


def test_a_function_that_mmengine_does_not_save_is_refused(tmp_path):
    path = tmp_path / "bad.pth"
    torch.save({"f": HistoryBuffer.update}, path)
    with pytest.raises(CheckpointError, match="getattr"):
        load_checkpoint_file(path)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, keep):
    path = tmp_path / "cut.pth"
    torch.save({"state_dict": {"w": torch.ones(1000)}}, path)
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(CheckpointError, match=r"cut\.pth is damaged") as caught:
        load_checkpoint(nn.Linear(1, 1), str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_by_the_runner_in_one_line(tmp_path):
    runner = make_runner(tmp_path, load_from=str(tmp_path / "none.pth"), resume=True)
    with pytest.raises(CheckpointError, match=r"none\.pth does not exist"):
        runner.train()


def test_downloads_are_protected_too(tmp_path, monkeypatch):
    from mmengine.runner.checkpoint import CheckpointLoader

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    torch.save({"w": torch.ones(2)}, good)
    torch.save({"w": Runs()}, bad)
    # The scheme of a URL picks the loader; a file:// URL through the same loader needs no network.
    load = CheckpointLoader._get_checkpoint_loader("https://example.org/a.pth")
    assert load(good.as_uri())["w"].sum() == 2
    with pytest.raises(CheckpointError, match=r"bad\.pth.*setattr"):
        load(bad.as_uri())
    assert not Runs.ran


@pytest.mark.parametrize("address", ["file:///nowhere/a.pth", "file:///", "no-scheme"])
def test_what_cannot_be_downloaded_is_one_line(tmp_path, monkeypatch, address):
    from mmengine.runner.checkpoint import CheckpointLoader

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    load = CheckpointLoader._get_checkpoint_loader("https://example.org/a.pth")
    with pytest.raises(CheckpointError, match="cannot be loaded") as said:
        load(address)
    assert "\n" not in str(said.value) and str(tmp_path / "home") in str(said.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("torchvision://resnet5", r"torchvision has no weights called resnet5; did you mean resnet50\?"),
        ("open-mmlab://resnet", "open-mmlab has no weights called resnet"),
    ],
)
def test_a_name_that_a_collection_does_not_have_is_one_line(address, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(nn.Linear(1, 1), address)


def test_a_kill_while_saving_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    runner = make_runner(tmp_path)
    runner.train()
    path = Path(find_latest_checkpoint(str(tmp_path)))
    before = path.read_bytes()

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        runner.save_checkpoint(str(tmp_path), path.name, by_epoch=False)
    assert path.read_bytes() == before


def test_last_checkpoint_is_never_half_written(tmp_path, monkeypatch):
    from mmengine.hooks import checkpoint_hook

    pointer = tmp_path / "last_checkpoint"
    pointer.write_text("iter_2.pth")
    with pytest.raises(KeyboardInterrupt), checkpoint_hook.open(pointer, "w") as stream:
        stream.write("iter_")
        stream.flush()
        raise KeyboardInterrupt
    assert pointer.read_text() == "iter_2.pth"
    assert [path.name for path in tmp_path.iterdir()] == ["last_checkpoint"]


def test_auto_resume_finds_the_checkpoint_of_a_work_dir_that_was_moved_or_killed(tmp_path):
    # mmengine writes a path from where it was started.
    (tmp_path / "last_checkpoint").write_text("work_dirs/old/iter_4.pth")
    with pytest.raises(CheckpointError, match=r"iter_4\.pth, which is gone"):
        last_checkpoint(tmp_path)
    for age, name in enumerate(["best_mIoU_iter_6.pth", "iter_10.pth", "iter_8.pth"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert last_checkpoint(tmp_path).name == "iter_10.pth"
    (tmp_path / "iter_4.pth").touch()
    assert last_checkpoint(tmp_path) == tmp_path / "iter_4.pth"
