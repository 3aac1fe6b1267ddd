"""Configs: read, found, and which of their keys anybody reads."""

from __future__ import annotations

import inspect
import re

import pytest
from mmengine.runner import Runner, runner

from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.carried import carried
from wrs_mm.openmmlab.configs import (
    config_path,
    config_reader,
    evaluator_configs,
    load_config,
    merge_options,
    runner_keys,
)


@pytest.fixture
def config(tmp_path):
    """A config and its base, as a path."""
    (tmp_path / "base.py").write_text("model = dict(depth=18, stages=[dict(width=1)])\n")
    (tmp_path / "child.py").write_text("_base_ = './base.py'\nmodel = dict(depth=34)\n")
    return tmp_path / "child.py"


def test_a_config_is_read_with_its_bases_and_options_over_them(config):
    read = load_config(config, {"model.stages.0.width": 2})
    assert (read.model.depth, read.model.stages[0].width) == (34, 2)


def test_a_reader_reads_each_file_once_and_hands_out_copies(config):
    read = config_reader()
    first = read(config)
    first.model.stages[0].width = 5
    config.write_text("model = dict(depth=1)\n")
    second = read(config)
    assert (second.model.depth, second.model.stages[0].width) == (34, 1)
    assert second.filename == str(config) and second.pretty_text == read(config).pretty_text
    assert config_reader()(config).model.depth == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere.py", "nowhere.py does not exist; give the path"),
        ("mmdet::nowhere", "mmdet carries no 'nowhere'"),
        ("mmpose::a", "no package 'mmpose' is installed"),
        (
            "coco/retinanet_r50_fpn_synbn_1x_coco",
            r"does not exist; .*did you mean coco/retinanet_r50_fpn_syncbn",
        ),
        (
            "wrs_mm::coco/retinanet_r50_fpn_synbn_1x_coco",
            "wrs_mm carries no .*did you mean coco/retinanet_r50_",
        ),
    ],
)
def test_what_is_no_config_is_named(name, expected):
    with pytest.raises(ConfigError, match=expected):
        config_path(name)


def test_a_recipe_is_found_by_name_from_any_folder_and_a_file_comes_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "mini/pspnet_r18-narrow_mini-cityscapes"
    ours = config_path(f"wrs_mm::{name}")
    assert ours == carried("configs") / f"{name}.py"
    for source in (name, f"{name}.py", f"configs/{name}.py", f"wrs_mm::{name}.py"):
        assert config_path(source) == ours
    own = tmp_path / f"{name}.py"
    own.parent.mkdir()
    own.touch()
    assert config_path(f"{name}.py").resolve() == own
    assert config_path(name) == ours


def test_a_config_that_cannot_be_read_is_named_in_one_line(config):
    config.write_text("model = dict(\n")
    with pytest.raises(ConfigError, match=r"^config .*child\.py cannot be read: SyntaxError: .*$"):
        load_config(config)
    text = config.rename(config.with_suffix(".txt"))
    with pytest.raises(ConfigError, match=r"is not a \.py, \.json or \.yaml file"):
        load_config(text)


def test_an_option_that_does_not_fit_is_named(config):
    with pytest.raises(ConfigError, match=r"option model\.stages\.3\.width=1 does not fit"):
        merge_options(load_config(config), {"model.stages.3.width": 1})


def test_what_mmengine_reads_from_a_config_is_known():
    source = inspect.getsource(runner)
    read = set(re.findall(r"""self\.cfg(?:\.get\(|\[)["'](\w+)["']""", source))
    assert {"sync_bn", "compile"} <= read
    assert read <= runner_keys()
    assert set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"} <= runner_keys()


def test_evaluators_come_as_a_list():
    assert evaluator_configs(None) == []
    assert evaluator_configs({"type": "IoUMetric"}) == [{"type": "IoUMetric"}]
    assert evaluator_configs(({"type": "a"}, {"type": "b"})) == [{"type": "a"}, {"type": "b"}]
