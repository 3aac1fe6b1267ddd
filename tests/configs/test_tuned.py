"""The recipes in which each arm has the settings that a study found for it: those of the study's pack."""

from __future__ import annotations

import re

import pytest
from arms import CONFIGS, ROOT
from mmengine.config import Config

from wrs_mm.bench.packs.manifest import Pack
from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.regularizers import RECIPE_KEY

TUNED = sorted(CONFIGS.glob("mini/*_tuned.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", TUNED, ids=lambda path: path.stem)
def test_each_arm_has_the_settings_of_the_study_that_the_first_line_names(path) -> None:
    study = re.match(r"# Each arm at the settings .*: the study (\w+) \(docs/studies\.md\)\.\n", path.read_text())
    assert study, path
    pack = Pack(ROOT / "docs" / "reports" / f"{study[1]}.pack.tar.xz")
    recipe = f"mini/{path.stem.removesuffix('_tuned')}"
    finals = [identity.spec for identity, _ in pack.results if identity.spec.recipe == recipe]
    # An arm with options is another one of that name.
    own = (spec for spec in finals if spec.trial is None and not spec.options)
    found = {spec.regularizer: dict(spec.settings) for spec in own}
    said = Config.fromfile(path)[RECIPE_KEY].to_dict()
    assert said == {arm: found[arm] for arm in said}
    assert said.keys() >= {"none", "wd", "wrs"}


@pytest.mark.parametrize("path", TUNED, ids=lambda path: path.stem)
def test_it_is_its_recipe_and_the_arms_settings(path) -> None:
    tuned = Config.fromfile(path).to_dict()
    del tuned[RECIPE_KEY]
    assert tuned == Config.fromfile(path.with_name(f"{path.stem.removesuffix('_tuned')}.py")).to_dict()


@pytest.mark.parametrize(
    ("folder", "tune"), [("coco", "instances_tune2017"), ("cityscapes", "tune.txt")], ids=["coco", "cityscapes"]
)
def test_where_settings_are_looked_for_val_is_not_looked_at(folder: str, tune: str) -> None:
    plan = load_plan(CONFIGS / "benchmarks" / f"{folder}_tuning.yaml")
    arms = resolve_arms(plan)
    assert [arm.spec.arm_label for arm in arms] == ["none", "wd", "wrs", "wrs_matched"]
    for arm in arms:
        config = arm.config
        assert arm.spec.split == "test"
        assert tune in config.val_dataloader.dataset.ann_file
        assert "minus_tune" in config.train_dataloader.dataset.ann_file
        assert "train" in next(iter(config.val_dataloader.dataset.data_prefix.values()))
        assert "val" in next(iter(config.test_dataloader.dataset.data_prefix.values()))
