"""``wrs-mm apply``: the file that it writes is the arm, wherever it is put, and it says what changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arms import CONFIGS, plain

from wrs_mm.cli import main
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.regularizers import RECIPE_KEY, apply_regularizer, names

FROZEN = str(CONFIGS / "coco" / "retinanet_r50_fpn_frozenbn_1x_coco.py")
LAYER_DECAY = "mmseg::beit/beit-base_upernet_8xb2-160k_ade20k-640x640"
RECIPE = "optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, weight_decay=1e-4))\n"
NEW_STYLE = (
    "from torch.optim import SGD\nfrom mmengine.optim import OptimWrapper\n"
    "optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1, weight_decay=1e-4))\n"
    "regularizers = dict(wrs=dict(target='init'))\n"
)


def applied(config: Any, regularizer: str, out: Path, *more: str) -> str:
    """What the file says that the command writes, which is held against the one place that makes arms."""
    assert main.main(["apply", str(config), "--regularizer", regularizer, "--out", str(out), *more]) == 0
    options = {"target": "init", "interval": 5} if "--options" in more else {}
    expected = plain(apply_regularizer(load_config(config), regularizer, **options))
    found = plain(load_config(out))
    found.pop(RECIPE_KEY, None)
    assert found == expected
    assert [path.name for path in out.parent.glob(".*")] == []
    return out.read_text(encoding="utf-8")


@pytest.mark.parametrize("regularizer", ["none", "wd", "wrs", "wrs_matched"])
@pytest.mark.parametrize("config", [FROZEN, "coco/retinanet_r50_fpn_frozenbn_1x_coco", LAYER_DECAY])
def test_the_written_file_is_the_arm(config: str, regularizer: str, tmp_path: Path) -> None:
    text = applied(config, regularizer, tmp_path / "new.py")
    assert len(text.splitlines()) < 20 and text.count("_base_ = ") == 1


@pytest.mark.parametrize("regularizer", sorted(set(names()) - {"none", "wd", "wrs", "wrs_matched"}))
def test_the_written_file_is_any_arm(regularizer: str, tmp_path: Path) -> None:
    applied("mini/fcn_r18-narrow_mini-cityscapes", regularizer, tmp_path / "new.py")


def test_options_are_the_regularizers_and_stand_in_the_file(tmp_path: Path) -> None:
    text = applied(LAYER_DECAY, "wrs", tmp_path / "new.py", "--options", "target=init", "interval=5")
    assert f"apply {LAYER_DECAY} --regularizer wrs --options target=init interval=5 --out " in text
    assert f"_base_ = '{LAYER_DECAY}.py'" in text and "wrs=dict(interval=5, target='init')" in text


def test_the_base_is_named_from_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("recipes", "mine/deep"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "recipes" / "a.py").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    assert "_base_ = '../../recipes/a.py'\n" in applied("recipes/a.py", "wrs", Path("mine/deep/b.py"))
    assert "_base_ = './a.py'\n" in applied(tmp_path / "recipes" / "a.py", "wrs", Path("recipes/b.py"))
    # The folders may move together.
    (tmp_path / "recipes").rename(tmp_path / "moved")
    assert "_base_ = './a.py'\n" in (tmp_path / "moved" / "b.py").read_text()
    assert plain(load_config("moved/b.py")) == plain(apply_regularizer(load_config("moved/a.py"), "wrs"))


def test_a_config_in_mmengines_new_style_is_written_whole_and_the_file_says_why(tmp_path, capsys) -> None:
    (tmp_path / "lazy.py").write_text(NEW_STYLE)
    text = applied(tmp_path / "lazy.py", "wrs", tmp_path / "new.py")
    assert "# This is the whole config, because nothing can inherit from one in mmengine's new style" in text
    assert "_base_" not in text and "type='torch.optim.SGD'" in text
    assert (
        "new.py, the whole config, because nothing can inherit from one in mmengine's"
        in capsys.readouterr().out
    )


def test_a_value_that_no_file_can_say_is_refused_and_nothing_is_written(tmp_path: Path, capsys) -> None:
    (tmp_path / "lazy.py").write_text(f"{NEW_STYLE}model = dict(most=float('inf'))\n")
    out = tmp_path / "new.py"
    assert main.main(["apply", str(tmp_path / "lazy.py"), "--regularizer", "wrs", "--out", str(out)]) == 2
    assert "lazy.py holds values that a config's file cannot say" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["lazy.py"]


def test_what_is_none_in_the_recipe_can_be_something_in_the_arm(tmp_path: Path) -> None:
    text = RECIPE.replace("optimizer=", "paramwise_cfg=None, optimizer=")
    (tmp_path / "a.py").write_text(text)
    assert "_base_ = './a.py'" in applied(tmp_path / "a.py", "none", tmp_path / "b.py")


def test_what_changes_is_printed_by_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(RECIPE)
    applied(tmp_path / "a.py", "none", tmp_path / "b.py")
    assert capsys.readouterr().out.splitlines() == [
        "5 keys of the config change:",
        "  custom_imports.allow_failed_imports: — → False",
        "  custom_imports.imports: — → ['wrs_mm']",
        "  optim_wrapper.constructor: — → 'ScaleInvariantOptimWrapperConstructor'",
        "  optim_wrapper.paramwise_cfg.scale_invariant_decay_mult: — → 0.0",
        "  optim_wrapper.type: — → 'ScaleInvariantOptimWrapper'",
        f"Wrote {tmp_path / 'b.py'}.",
    ]


def test_a_file_that_exists_is_overwritten_only_by_force(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.py").write_text(RECIPE)
    (tmp_path / "b.py").write_text("# mine\n")
    arguments = ["apply", str(tmp_path / "a.py"), "--regularizer", "wrs", "--out", str(tmp_path / "b.py")]
    assert main.main(arguments) == 2
    assert "b.py exists: take another name, or overwrite it with --force" in capsys.readouterr().err
    assert (tmp_path / "b.py").read_text() == "# mine\n"
    applied(tmp_path / "a.py", "wrs", tmp_path / "b.py", "--force")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.py", "--regularizer", "wsr", "--out", "b.py"], "there is no regularizer 'wsr'"),
        (["a.py", "--out", "b.py"], "the following arguments are required: --regularizer"),
        (["a.py", "--regularizer", "wrs"], "the following arguments are required: --out"),
        (["no.py", "--regularizer", "wrs", "--out", "b.py"], "config no.py does not exist"),
        (["a.py", "--regularizer", "wrs", "--out", "b.yaml"], "a config's file ends in .py"),
        (["a.py", "--regularizer", "wrs", "--out", "no/b.py"], "there is no folder no"),
        (["a.py", "--regularizer", "wrs", "--out", "/proc/b.py"], "/proc/b.py cannot be written (No"),
        (["a.py", "--regularizer", "wrs", "--out", "a.py", "--force"], "a.py is the config itself"),
        (["a.py", "--regularizer", "wrs", "--out", "folder.py", "--force"], "folder.py exists"),
        (["a.py", "--regularizer", "wrs", "--options", "a", "--out", "b.py"], "'a' is not KEY=VALUE"),
        (
            ["a.py", "--regularizer", "wrs", "--options", "targte=1", "--out", "b.py"],
            "has no option 'targte'",
        ),
        (["a.py", "--regularizer", "wrs", "--options", "interval=0", "--out", "b.py"], "interval must be"),
        (
            ["two.py", "--regularizer", "wrs", "--out", "b.py"],
            "two.py: its optim_wrapper has several optimizers",
        ),
        (["test.py", "--regularizer", "wrs", "--out", "b.py"], "test.py: it trains nothing"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.py").write_text(RECIPE)
    Path("test.py").write_text("model = dict(type='FCN')\n")
    Path("two.py").write_text("optim_wrapper = dict(a=dict(optimizer=dict()), b=dict(optimizer=dict()))\n")
    Path("folder.py").mkdir()
    assert main.main(["apply", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("wrs-mm apply: error: ") and message in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.py", "folder.py", "test.py", "two.py"]
