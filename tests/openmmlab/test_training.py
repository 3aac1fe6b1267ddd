"""What a training and a test leave behind, and one line for each mistake of the caller."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS, DefaultScope
from mmengine.visualization import Visualizer

from wrs_mm.cli import main
from wrs_mm.errors import CheckpointError, ConfigError, DatasetError, OptionError, UsageError
from wrs_mm.openmmlab import training
from wrs_mm.openmmlab.protection import protect
from wrs_mm.openmmlab.training import test, train

test.__test__ = False  # what is tested here, not a test


@pytest.fixture(autouse=True)
def forget_names() -> Callable[[], None]:
    """Let the next Runner have its own scope, log and pictures.

    mmengine keeps them by name, and two Runners of configs of one name have one name in one second.
    """

    def forget() -> None:
        for kind in (DefaultScope, MMLogger, Visualizer, *Visualizer.__subclasses__()):
            kind._instance_dict.clear()

    forget()
    return forget


@pytest.mark.parametrize("kind", ["detector", "segmentor"])
def test_a_training_can_be_tested_resumed_and_painted(kind, write_config, forget_names, tmp_path):
    config, work_dir = write_config(kind), tmp_path / "work"
    assert main.main(["train", str(config), "--work-dir", str(work_dir)]) == 0
    checkpoint = Path((work_dir / "last_checkpoint").read_text())
    assert checkpoint.exists()

    forget_names()
    shown = tmp_path / "painted"
    metrics = test(
        config, checkpoint, work_dir=tmp_path / "test", out=str(tmp_path / "out.pkl"),
        show_dir=str(shown), cfg_options={"default_hooks.visualization.interval": 1},
    )  # fmt: skip
    assert ("mIoU" if kind == "segmentor" else "coco/bbox_mAP") in metrics
    assert len(pickle.loads((tmp_path / "out.pkl").read_bytes())) == 4
    assert list((tmp_path / "test").rglob("*.png")) or list(shown.rglob("*.png"))

    longer = {"detector": "train_cfg.max_epochs=3", "segmentor": "train_cfg.max_iters=6"}[kind]
    arguments = ["--work-dir", str(work_dir), "--resume", "--cfg-options", longer]
    assert main.main(["train", str(config), *arguments]) == 0
    assert Path((work_dir / "last_checkpoint").read_text()) != checkpoint


def test_the_work_dir_is_named_after_the_config(write_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = train(write_config("segmentor"), cfg_options={"train_cfg.max_iters": 1})
    assert Path(runner.work_dir) == tmp_path / "work_dirs" / "segmentor"


def test_the_work_dir_of_the_config_holds(write_config, tmp_path):
    config = write_config("segmentor", f"work_dir = '{tmp_path}/mine'\n")
    runner = train(config, cfg_options={"train_cfg.max_iters": 1})
    assert Path(runner.work_dir) == tmp_path / "mine"


def test_an_arm_of_a_recipe_its_overlay_and_its_printed_config_train_alike(
    write_config, tmp_path, monkeypatch, capsys, forget_names
):
    recipe = write_config("segmentor", "randomness = dict(seed=0, deterministic=True)\n")
    monkeypatch.chdir(recipe.parent)
    arm = [recipe.name, "--arm", "wrs"]
    for file, options in {f"{recipe.stem}_wrs.py": ["--overlay"], "printed.py": []}.items():
        assert main.main(["config", *arm, *options]) == 0
        Path(file).write_text(capsys.readouterr().out)
    calls = [arm, ["printed.py"], [f"{recipe.stem}_wrs.py", "--work-dir", "overlay"]]
    for call in calls:
        assert main.main(["train", *call, "--cfg-options", "optim_wrapper.wrs.target=0.5"]) == 0
        forget_names()
    folders = [f"work_dirs/{recipe.stem}_wrs", "work_dirs/printed", "overlay"]
    first, *others = [torch.load(Path(f) / "iter_4.pth")["state_dict"] for f in folders]
    assert all(value.equal(other[name]) for other in others for name, value in first.items())
    norms = first["decode_head.convs.0.conv.weight"].flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 0.5))


def test_a_segmentors_label_maps_go_to_a_folder(write_config, tmp_path):
    config = write_config("segmentor")
    train(config, work_dir=tmp_path / "work")
    test(config, tmp_path / "work/iter_4.pth", work_dir=tmp_path, out=str(tmp_path / "maps"))
    assert len(list((tmp_path / "maps").glob("*.png"))) == 4


def test_a_detector_flips_at_test_time_by_default(write_config, tmp_path):
    config = write_config("detector", "train_cfg = dict(max_epochs=1)\n")
    train(config, work_dir=tmp_path / "work")
    metrics = test(config, tmp_path / "work/epoch_1.pth", work_dir=tmp_path, tta=True)
    assert "coco/bbox_mAP" in metrics


# --- the caller's mistakes -----------------------------------------------------------------------

BAD_CONFIGS = {
    "syntax": "a = = 1",
    "raises": "a = 1 / 0",
    "base": "_base_ = './nowhere.py'",
    "toolbox base": "_base_ = 'mmdet::nowhere/nothing.py'",
    "import": "custom_imports = dict(imports=['no_such_module'], allow_failed_imports=False)",
    "no model": "train_cfg = dict()",
    "empty": "",
    "unknown model": (
        "default_scope = 'mmengine'\nmodel = dict(type='NoSuchModel')\ntrain_dataloader = dict()\n"
        "train_cfg = dict(by_epoch=False, max_iters=1)\noptim_wrapper = dict(optimizer=dict())"
    ),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_malformed_config_is_one_line(name, tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text(BAD_CONFIGS[name])
    assert main.main(["train", str(path), "--work-dir", str(tmp_path / "w")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert "bad.py" in error[0]


@pytest.mark.parametrize(
    "source",
    ["nowhere.py", "mmdet::nowhere/nothing.py", "mmnothing::a.py", "mmdet::../../../setup.py"],
)
def test_a_missing_config_is_one_line(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"nowhere|mmnothing|setup") as caught:
        train(source)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "work_dirs").exists()


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ("optim_wraper.type=X", "did you mean optim_wrapper?"),
        ("model.backbone.depth.x=1", "depth"),
        ("train_dataloader.dataset.pipeline.99.type=X", "pipeline"),
        ("novalue", "KEY=VALUE"),
        ("a=[1,(2]", "KEY=VALUE"),
    ],
)
def test_a_wrong_option_is_one_line(option, match, write_config, tmp_path, capsys):
    config = write_config("segmentor")
    assert main.main(["train", str(config), "--cfg-options", option]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert match in error[0]


@pytest.mark.parametrize("command", ["test", "resume", "load_from"])
def test_a_missing_checkpoint_is_found_before_anything_is_built(command, write_config, tmp_path):
    config, work_dir = write_config("segmentor"), tmp_path / "work"
    calls = {
        "test": lambda: test(config, "none.pth", work_dir=work_dir),
        "resume": lambda: train(config, work_dir=work_dir, resume="none.pth"),
        "load_from": lambda: train(config, work_dir=work_dir, cfg_options={"load_from": "none.pth"}),
    }
    with pytest.raises(CheckpointError, match=r"none\.pth does not exist"):
        calls[command]()
    assert not work_dir.exists()


def test_a_damaged_checkpoint_is_one_line_and_stays(write_config, tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(b"half a checkpoint")
    with pytest.raises(CheckpointError, match=r"a\.pth is damaged"):
        test(write_config("segmentor"), path, work_dir=tmp_path / "work")
    assert path.read_bytes() == b"half a checkpoint"


def test_weights_alone_cannot_be_resumed_from(write_config, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="load_from"):
        train(write_config("segmentor"), work_dir=tmp_path / "work", resume=path)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_where_the_last_checkpoint_is_damaged_a_training_goes_on_from_the_one_before(
    write_config, forget_names, tmp_path
):
    config, work_dir = write_config("segmentor"), tmp_path / "work"
    train(config, work_dir=work_dir)
    flip_a_bit(work_dir / "iter_4.pth")
    with pytest.raises(CheckpointError, match=r"iter_4\.pth is damaged"):
        train(config, work_dir=tmp_path / "other", resume=work_dir / "iter_4.pth")
    assert not (tmp_path / "other").exists()
    forget_names()
    runner = train(config, work_dir=work_dir, resume=True)
    log = "".join(file.read_text() for file in work_dir.glob("*/*.log"))
    assert (runner.iter, log.count("resumed epoch: 0, iter: 2")) == (4, 1)
    assert (work_dir / "iter_4.damaged").exists()
    assert Path((work_dir / "last_checkpoint").read_text()) == work_dir / "iter_4.pth"


@pytest.mark.parametrize("protected", [True, False])
def test_the_log_says_in_one_line_whether_a_training_is_protected(protected, write_config, tmp_path):
    train(write_config("segmentor"), work_dir=tmp_path / "work", protected=protected)
    (log,) = (tmp_path / "work").glob("*/*.log")
    lines = [line for line in log.read_text().splitlines() if "protected: " in line]
    assert len(lines) == 1
    assert ("not protected: " in lines[0]) != protected
    checkpoint = torch.load(tmp_path / "work/iter_4.pth", weights_only=True)
    assert ("random_states" in checkpoint) == protected


def test_a_training_whose_samples_depend_on_those_before_is_warned_of_it(write_config, tmp_path, monkeypatch):
    monkeypatch.setattr(protect, "_CACHING", ("PackSegInputs",))
    train(write_config("segmentor"), work_dir=tmp_path / "work")
    (log,) = (tmp_path / "work").glob("*/*.log")
    (line,) = [line for line in log.read_text().splitlines() if "kept for the next (PackSegInputs)" in line]
    assert "WARNING" in line and "another training" in line


class _Broken(Hook):
    def __init__(self) -> None:
        raise TypeError("of its own")


def test_a_misspelt_option_of_a_hook_is_one_line_and_a_mistake_within_it_a_traceback(
    write_config, tmp_path, monkeypatch
):
    misspelt = write_config("segmentor", "custom_hooks = [dict(type='SharpnessHook', intervall=3)]\n")
    message = r"segmentor\.py: .*unexpected keyword argument 'intervall'"
    with pytest.raises(ConfigError, match=message) as caught:
        train(misspelt, work_dir=tmp_path / "work")
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(HOOKS._module_dict, "Broken", _Broken)
    broken = write_config("segmentor", "custom_hooks = [dict(type='Broken')]\n")
    with pytest.raises(TypeError, match="of its own"):
        train(broken, work_dir=tmp_path / "other")


def test_a_missing_dataset_is_one_line(write_config, tmp_path):
    for kind in ("detector", "segmentor"):
        config = write_config(kind, root=tmp_path / "nothing")
        with pytest.raises(DatasetError, match=r"nothing.*data_root") as caught:
            train(config, work_dir=tmp_path / "work")
        assert "\n" not in str(caught.value)


def test_a_damaged_annotation_file_is_one_line(write_config, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.json").write_text(json.dumps({"images": []})[:-3])
    config = write_config("detector", root=tmp_path / "data")
    with pytest.raises(DatasetError, match=r"train\.json is not valid JSON"):
        train(config, work_dir=tmp_path / "work")


def test_an_empty_dataset_is_one_line(write_config, tmp_path):
    (tmp_path / "data").mkdir()
    empty = {"images": [], "annotations": [], "categories": []}
    for name in ("train", "val"):
        (tmp_path / "data" / f"{name}.json").write_text(json.dumps(empty))
    config = write_config("detector", root=tmp_path / "data")
    with pytest.raises(DatasetError, match="holds no image; check data_root in"):
        train(config, work_dir=tmp_path / "work")


@pytest.mark.parametrize("launcher", ["pytorch", "slurm", "mpi", "nothing"])
def test_a_launcher_that_did_not_launch_is_the_callers_mistake(launcher, write_config, monkeypatch):
    for names in training.LAUNCHERS.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="launcher"):
        train(write_config("segmentor"), launcher=launcher)


def test_a_norm_that_synchronizes_cannot_be_built_in_one_process_alone(write_config, tmp_path):
    with pytest.raises(ConfigError, match=r"MMSyncBN.* torchrun"):
        train(write_config("detector", norm="MMSyncBN"), work_dir=tmp_path / "work")


def test_a_detectors_predictions_go_to_a_pickle_file(write_config, tmp_path):
    path = tmp_path / "a.pth"
    torch.save({}, path)
    with pytest.raises(OptionError, match=r"\.pkl"):
        test(write_config("detector"), path, out="folder")


def test_local_rank_reaches_the_environment(write_config, tmp_path, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(CheckpointError):
        test(write_config("segmentor"), "none.pth", local_rank=1)
    assert os.environ["LOCAL_RANK"] == "1"
