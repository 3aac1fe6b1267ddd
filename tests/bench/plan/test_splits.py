"""A plan that reports test needs a recipe whose test split is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_plans import SMALL
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.checks import comparison_warnings
from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.cli.main import main
from wrs_mm.errors import PlanError

TEST = """
test_cfg = dict(type='TestLoop')
test_evaluator = dict(type='IoUMetric')
test_dataloader = dict(
    batch_size=1,
    dataset=dict(type='BaseSegDataset', data_root=data_root, pipeline=[dict(type='LoadImageFromFile')],
                 data_prefix=dict(img_path='others', seg_map_path='labels')))
"""
SAME = TEST.replace("'others'", "'images'")
COCO = """
val_evaluator = dict(type='CocoMetric', ann_file='val.json')
test_evaluator = [dict(type='CocoMetric', ann_file='val.json')]
"""

REFUSED = {
    "no loader": ("", "it has no test_dataloader"),
    "no evaluator": (TEST.replace("test_evaluator", "other"), "it has no test_evaluator"),
    "no loop": (TEST.replace("test_cfg", "other"), "it has no test_cfg"),
    "no labels": (TEST.replace("'IoUMetric'", "'IoUMetric', format_only=True"), "measures nothing"),
    "tune again": (SAME, "reads the images of val_dataloader"),
    "tune with another root": (SAME.replace("data_root=data_root", "data_root='somewhere/tiles/'"), "reads"),
    "tune's annotations": (TEST + COCO, "has the annotations of val_evaluator, val.json"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_test_split_is_refused_in_one_line_with_the_plans(case, write_small, tmp_path, capsys):
    more, expected = REFUSED[case]
    write_recipe(tmp_path, text=RECIPE + more)
    resolve_arms(load_plan(write_small()))
    for command in (["plan"], ["run", "--work-dir", str(tmp_path / "work")]):
        assert main(["bench", *command, str(write_small("split: test\n"))]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "plan.yaml, line 6: recipe 'small': " in error and expected in error
        assert "or write split: tune" in error
    assert not (tmp_path / "work" / "runs").exists()


def test_images_of_their_own_are_a_test_split_and_every_run_says_so(write_small, tmp_path):
    write_recipe(tmp_path, text=RECIPE + TEST)
    plan = load_plan(write_small("split: test\n"))
    assert len(resolve_arms(plan)) == 3
    assert {spec.split for spec in expand(plan)} == {"test"}
    assert {spec.split for spec in expand(load_plan(write_small()))} == {"tune"}


def test_a_part_of_the_same_images_is_a_split(write_small, tmp_path):
    write_recipe(
        tmp_path, text=RECIPE + SAME.replace("data_root=data_root", "data_root=data_root, indices=3")
    )
    resolve_arms(load_plan(write_small("split: test\n")))
    plain = SAME.replace("data_root=data_root,", "").replace("'images'", "None").replace("'labels'", "None")
    recipe = (
        RECIPE.replace("data_root=data_root,", "").replace("'images'", "None").replace("'labels'", "None")
    )
    write_recipe(tmp_path, text=recipe + plain)
    with pytest.raises(PlanError, match="reads the images of val_dataloader"):
        resolve_arms(load_plan(write_small("split: test\n")))


def test_the_data_of_a_test_split_must_exist_where_tables_report_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("images", "labels"):
        (tmp_path / "somewhere" / "tiles" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path, text=RECIPE + TEST)
    warnings: Callable[[str], list[str]] = lambda more: comparison_warnings(  # noqa: E731
        resolve_arms(load_plan(_written(tmp_path, more)))
    )
    assert warnings("") == []
    (warning,) = warnings("split: test\n")
    assert "dataset not found: somewhere/tiles/others" in warning


def _written(folder: Path, more: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(SMALL + more, encoding="utf-8")
    return path
