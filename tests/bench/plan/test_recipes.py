"""A recipe by its name: beside the plan, among ours, in a toolbox; a plan by its path or name."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.recipes import CONFIGS, find_plan, find_recipe
from wrs_mm.errors import PlanError

PSPNET = "mini/pspnet_r18-narrow_mini-cityscapes"
CLOSE = "mini/pspnet_r18_mini-cityscapes"


def test_a_file_beside_the_plan_comes_before_one_of_the_checkout(tmp_path):
    assert find_recipe(PSPNET, tmp_path) == str(CONFIGS / f"{PSPNET}.py")
    own = tmp_path / f"{PSPNET}.py"
    own.parent.mkdir()
    own.touch()
    assert find_recipe(PSPNET, tmp_path) == find_recipe(f"{PSPNET}.py", tmp_path) == str(own)


def test_a_json_file_keeps_its_ending(tmp_path):
    (tmp_path / "plain.json").touch()
    assert find_recipe("plain.json", tmp_path) == str(tmp_path / "plain.json")


def test_a_toolbox_carries_recipes():
    path = find_recipe("mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024", Path())
    assert path.endswith("mmseg/.mim/configs/pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py")


def test_what_does_not_exist_is_named_with_what_is_close():
    with pytest.raises(PlanError, match=f"'{CLOSE}' is neither .*; did you mean {PSPNET}"):
        find_recipe(CLOSE, Path())
    with pytest.raises(PlanError, match=r"recipe 'mmdet::no': .*mmdet carries no 'no'"):
        find_recipe("mmdet::no", Path())


def test_a_plan_is_found_by_its_name_and_a_file_comes_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = CONFIGS / "benchmarks" / "mini.yaml"
    # A folder of that name, as a work dir may have, is no plan.
    Path("mini").mkdir()
    for name in ("mini", "mini.yaml", "benchmarks/mini", "configs/benchmarks/mini.yaml"):
        assert find_plan(name) == find_plan(Path(name)) == ours
    assert [run.recipe for run in expand(load_plan("mini"))] == [
        run.recipe for run in expand(load_plan(ours))
    ]
    Path("mini.yaml").touch()
    assert find_plan("mini.yaml") == Path("mini.yaml")


def test_a_plan_that_does_not_exist_is_named_with_what_is_close(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlanError, match=r"minni\.yaml: cannot be read; .*did you mean mini"):
        find_plan("minni.yaml")
    # A recipe is no plan.
    with pytest.raises(PlanError, match="no plan of that name"):
        find_plan(PSPNET)
