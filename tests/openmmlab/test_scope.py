"""``wrs_mm::…`` as a base is the file that it names, in whatever folder the config lies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.config.utils import _get_external_cfg_path

from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.carried import carried
from wrs_mm.openmmlab.scope import know_own_scope

RECIPES = ["mini/pspnet_r18-narrow_mini-cityscapes_wrs", "coco/retinanet_r50_fpn_frozenbn_1x_coco_wrs"]


def write(path: Path, base: str, more: str = "") -> Path:
    path.write_text(f"_base_ = {base}\n{more}")
    return path


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_base_by_name_is_the_base_by_path(recipe: str, tmp_path: Path) -> None:
    more = "model = dict(backbone=dict(depth=34))\nown = dict(type='WRSOptimWrapper')\n"
    by_path = Config.fromfile(write(tmp_path / "path.py", repr(f"{carried('configs')}/{recipe}.py"), more))
    for name in (f"{recipe}.py", recipe):
        by_name = Config.fromfile(write(tmp_path / "name.py", repr(f"wrs_mm::{name}"), more))
        # Scopes among it: types of ours are found in the toolbox's, which leads to mmengine's.
        assert by_name.to_dict() == by_path.to_dict()
    assert by_name.optim_wrapper.type == "WRSOptimWrapper"
    assert "'_scope_': 'mm" in str(by_name.to_dict()) and "'_scope_': 'wrs_mm'" not in str(by_name.to_dict())


def test_other_bases_are_found_as_before(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("own = 1\n")
    read = Config.fromfile(write(tmp_path / "both.py", f"['wrs_mm::{RECIPES[0]}', './own.py']"))
    assert (read.own, read.optim_wrapper.type) == (1, "WRSOptimWrapper")
    by_toolbox = Config.fromfile(write(tmp_path / "c.py", "'mmdet::_base_/schedules/schedule_1x.py'"))
    assert by_toolbox.optim_wrapper.optimizer.lr == 0.02


def test_where_a_toolbox_has_a_base_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def find(package: str, path: str) -> str:
        asked.append(path)
        return _get_external_cfg_path(package, path)

    monkeypatch.setattr("mmengine.config.config._get_external_cfg_path", find)
    name = "fcos/fcos_r50-caffe_fpn_gn-head-center_1x_coco.py"
    bases = [f"'mmdet::{name}'", f"['mmdet::{name}', './own.py']"]
    (tmp_path / "own.py").write_text("own = 1\n")
    first, second = (Config.fromfile(write(tmp_path / "config.py", base)).to_dict() for base in bases)
    assert asked == [name]
    assert second.pop("own") == 1 and second == first and first["model"]["type"] == "FCOS"


def test_a_name_that_does_not_exist_is_named_with_what_is_close(tmp_path: Path) -> None:
    base = f"'wrs_mm::{RECIPES[0].replace('narrow', 'narow')}.py'"
    with pytest.raises(ConfigError, match=f"carries no .*; did you mean {RECIPES[0]}"):
        Config.fromfile(write(tmp_path / "a.py", base))
    with pytest.raises(Exception, match="mmengine does not support to load nobody config"):
        Config.fromfile(write(tmp_path / "b.py", "'nobody::a/b.py'"))


def test_it_may_be_said_again() -> None:
    before = Config._get_cfg_path
    know_own_scope()
    assert Config._get_cfg_path is before


@pytest.mark.parametrize(
    ("base", "works"),
    [
        ("'wrs_mm::{}.py'", False),
        ("__import__('wrs_mm') and 'wrs_mm::{}.py'", True),
    ],
)
def test_a_program_that_has_not_imported_us_needs_a_longer_line(
    base: str, works: bool, tmp_path: Path
) -> None:
    config = write(tmp_path / "own.py", base.format(RECIPES[0]))
    code = f"from mmengine.config import Config; print(Config.fromfile({str(config)!r}).optim_wrapper.type)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip() == "WRSOptimWrapper") is works, done.stderr
    if not works:
        # As the documents say; where mmengine learns of us by itself, they should say so.
        assert "mmengine does not support to load wrs_mm config" in done.stderr
