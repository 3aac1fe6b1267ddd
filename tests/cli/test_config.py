"""``wrs-mm config``: a config on stdout that trains as it is, and overlays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from arms import CONFIGS, ROOT, load, plain
from mmengine.config import Config

from wrs_mm.cli import main
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.regularizers import apply_regularizer

NAME = "retinanet_r50_fpn_frozenbn_1x_coco"
RECIPE = str(CONFIGS / "coco" / f"{NAME}.py")


def printed(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> Config:
    """What the command prints, read as a config of its own."""
    assert main.main(["config", *arguments]) == 0
    (folder / "printed.py").write_text(capsys.readouterr().out)
    return load_config(folder / "printed.py")


@pytest.mark.parametrize("arm", ["none", "wd", "wrs"])
def test_the_printed_arm_is_a_config_of_its_own(arm: str, tmp_path, capsys):
    config = printed([RECIPE, "--arm", arm], tmp_path, capsys)
    assert plain(config) == plain(apply_regularizer(load("coco", NAME), arm))


def test_a_printed_recipe_still_says_what_its_arms_are(tmp_path, capsys):
    config = printed([RECIPE], tmp_path, capsys)
    assert plain(config) == plain(load("coco", NAME))
    assert plain(apply_regularizer(config, "wrs")) == plain(apply_regularizer(load("coco", NAME), "wrs"))


def test_options_come_after_the_arm(tmp_path, capsys):
    options = ["optim_wrapper.wrs.interval=10", "optim_wrapper.optimizer.lr=0.5"]
    config = printed([RECIPE, "--arm", "wrs", "--cfg-options", *options], tmp_path, capsys)
    assert config.optim_wrapper.wrs == {"frozen_bn": "fold", "target": "init", "interval": 10}
    assert config.optim_wrapper.optimizer.lr == 0.5


def test_options_are_the_arms(tmp_path, capsys):
    config = printed([RECIPE, "--arm", "wrs", "--options", "target=unit", "interval=3"], tmp_path, capsys)
    expected = apply_regularizer(load("coco", NAME), "wrs", target="unit", interval=3)
    assert plain(config) == plain(expected)
    assert main.main(["config", RECIPE, "--arm", "wrs", "--options", "interval=3", "--overlay"]) == 0
    text = capsys.readouterr().out
    assert f"# Written by `wrs-mm config {NAME}.py --arm wrs --options interval=3 --overlay`." in text
    assert "wrs=dict(frozen_bn='fold', interval=3, target='init')" in text


def test_an_overlay_beside_its_recipe_is_the_arm(tmp_path, capsys):
    recipe = tmp_path / "mine.py"
    recipe.write_text("_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n")
    assert main.main(["config", str(recipe), "--arm", "wrs", "--overlay"]) == 0
    (tmp_path / "mine_wrs.py").write_text(capsys.readouterr().out)
    assert plain(load_config(tmp_path / "mine_wrs.py")) == plain(
        apply_regularizer(load_config(recipe), "wrs")
    )


def test_an_overlay_of_a_recipe_that_was_named_inherits_it_in_any_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(["config", f"coco/{NAME}", "--arm", "wrs", "--overlay"]) == 0
    (tmp_path / "any.py").write_text(capsys.readouterr().out)
    assert plain(load_config("any.py")) == plain(load("coco", NAME, "wrs"))


def test_a_recipe_in_mmengines_new_style_has_printed_arms_but_no_overlay(tmp_path, capsys):
    recipe = tmp_path / "new.py"
    recipe.write_text(
        "from torch.optim import SGD\nfrom mmengine.optim import OptimWrapper\n"
        "optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1, weight_decay=1e-4))\n"
        "regularizers = dict(wrs=dict(target='init'))\n"
    )
    config = printed([str(recipe), "--arm", "wrs"], tmp_path, capsys)
    assert config.optim_wrapper.type == "WRSOptimWrapper" and config.optim_wrapper.wrs == {"target": "init"}
    assert config.optim_wrapper.optimizer.type == "torch.optim.SGD"
    assert main.main(["config", str(recipe), "--arm", "wrs", "--overlay"]) == 2
    error = capsys.readouterr().err
    assert "new style, from which no overlay inherits" in error and error.count("\n") == 1


def test_stdout_of_the_program_is_the_config_alone(tmp_path):
    command = [sys.executable, "-m", "wrs_mm.cli", "config", RECIPE, "--arm", "wrs"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == apply_regularizer(load("coco", NAME), "wrs").pretty_text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--overlay"], "--overlay prints what an arm changes: give --arm"),
        (["--overlay", "--arm", "wd", "--cfg-options", "a=1"], "--overlay prints what an arm changes"),
        (["--options", "target=init"], "--options are the arm's: give --arm"),
        (["--arm", "wrs", "--options", "interval=0"], "interval must be"),
        (["--cfg-options", "optim_wraper.type=X"], "did you mean optim_wrapper?"),
        (["--arm", "wrs", "--cfg-options", "regularizers.wrs.target=unit"], "has no 'regularizers'"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, capsys):
    assert main.main(["config", RECIPE, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("wrs-mm config: error: ") and message in captured.err
