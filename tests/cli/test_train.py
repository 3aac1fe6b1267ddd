"""The arguments of ``wrs-mm train`` and ``wrs-mm test`` (wrs_mm.cli.test), and arms of recipes.

What the two do is tested in tests/openmmlab/test_training.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from arms import CONFIGS, load, plain
from mmengine.config import Config

from wrs_mm.cli import main, test, train
from wrs_mm.errors import DatasetError, OptionError
from wrs_mm.regularizers import apply_regularizer

RECIPE = CONFIGS / "coco" / "retinanet_r50_fpn_frozenbn_1x_coco.py"


def test_the_arguments_are_openmmlabs():
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    line = "c.py --work-dir w --amp --auto-scale-lr --launcher slurm --local-rank 3 --resume"
    args = parser.parse_args([*line.split(), "--cfg-options", "a.b=1", "c=[x,2]"])
    assert args.resume == "auto"
    assert args.cfg_options == {"a.b": 1, "c": ["x", 2]}
    assert (args.local_rank, args.launcher, args.amp, args.auto_scale_lr) == (3, "slurm", True, True)
    assert parser.parse_args(["c.py", "--resume", "a.pth"]).resume == "a.pth"
    assert parser.parse_args(["c.py"]).resume is None
    parser = argparse.ArgumentParser()
    test.add_arguments(parser)
    args = parser.parse_args("c.py a.pth --out o.pkl --show-dir d --tta --local_rank 1".split())
    assert (args.checkpoint, args.out, args.show_dir, args.tta) == ("a.pth", "o.pkl", "d", True)


def test_an_arm_is_that_of_the_recipe_in_the_work_dir_of_its_overlay():
    config = train.load_arm(str(RECIPE), "wrs")
    assert config.work_dir == "work_dirs/retinanet_r50_fpn_frozenbn_1x_coco_wrs"
    arm = apply_regularizer(load("coco", RECIPE.stem), "wrs")
    assert plain(config) == {**plain(arm), "work_dir": config.work_dir}


def test_an_arm_with_options_trains_in_a_work_dir_of_its_own():
    options = {"target": "a/b", "interval": 5}
    with pytest.raises(OptionError, match="target must be"):
        train.load_arm(str(RECIPE), "wrs", options)
    config = train.load_arm(str(RECIPE), "wrs", {"target": 2.0, "interval": 5})
    assert config.work_dir == "work_dirs/retinanet_r50_fpn_frozenbn_1x_coco_wrs-interval=5-target=2.0"
    assert config.optim_wrapper.wrs == {"frozen_bn": "fold", "target": 2.0, "interval": 5}


def test_train_takes_options_of_the_arm(monkeypatch, capsys):
    got = {}
    monkeypatch.setattr(train, "train", lambda config, **options: got.update(options, config=config))
    assert main.main(["train", str(RECIPE), "--arm", "wrs", "--options", "interval=5"]) == 0
    assert got["config"].optim_wrapper.wrs.interval == 5 and "options" not in got
    assert main.main(["train", str(RECIPE), "--options", "interval=5"]) == 2
    assert "--options are the arm's: give --arm" in capsys.readouterr().err


@pytest.mark.parametrize(("arm", "kind"), [("none", Config), ("wrs", Config), (None, str)])
def test_train_gets_the_arm_and_every_other_argument(arm: str | None, kind: type, monkeypatch):
    got = {}
    monkeypatch.setattr(train, "train", lambda config, **options: got.update(options, config=config))
    call = ["train", str(RECIPE), "--work-dir", "d", "--cfg-options", "optim_wrapper.optimizer.lr=0.1"]
    assert main.main([*call, *(["--arm", arm] if arm else [])]) == 0
    assert isinstance(got["config"], kind)
    assert got["cfg_options"] == {"optim_wrapper.optimizer.lr": 0.1} and got["work_dir"] == "d"
    assert "arm" not in got and "parser" not in got
    assert got["protected"] and got["check"] is not None


def test_protection_is_left_out_by_one_switch(monkeypatch):
    got = {}
    monkeypatch.setattr(train, "train", lambda config, **options: got.update(options))
    assert main.main(["train", str(RECIPE), "--unprotected"]) == 0
    assert not got["protected"] and "check" not in got and "unprotected" not in got


def test_data_that_is_missing_is_missed_before_anything_is_built(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main(["train", str(RECIPE), "--work-dir", "work"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "data/coco" in error
    assert not (tmp_path / "work").exists()


def test_an_unknown_arm_is_one_line(capsys):
    assert main.main(["train", str(RECIPE), "--arm", "wsr"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("wrs-mm train: error: argument --arm: invalid choice: 'wsr'")
    assert error.count("\n") == 1


def test_a_mistake_in_what_the_recipe_says_of_its_arms_names_the_recipe(tmp_path: Path, capsys):
    recipe = tmp_path / "mine.py"
    recipe.write_text(f"_base_ = {str(RECIPE)!r}\nregularizers = dict(wsr=dict(target='init'))\n")
    with pytest.raises(OptionError, match=r"mine\.py: regularizers: there is no regularizer 'wsr'"):
        train.load_arm(str(recipe), "wrs")
    assert main.main(["train", str(recipe), "--arm", "wrs"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("wrs-mm train: error: ") and error.count("\n") == 1


def test_where_our_own_data_is_missing_the_command_that_makes_it_is_named():
    with pytest.raises(DatasetError, match="or run `wrs-mm data make mini`"), train.remedies():
        raise DatasetError("data/mini-coco/train does not exist")
