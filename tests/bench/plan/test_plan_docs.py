"""Every example of docs/plans.md is a plan that can be run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wrs_mm.bench.plan import checks
from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.dynamics import DynamicsOptions
from wrs_mm.bench.plan.entries import Recipe
from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import Plan, load_plan
from wrs_mm.bench.plan.pretraining import Pretraining
from wrs_mm.bench.plan.recipes import CONFIGS
from wrs_mm.bench.plan.tuning import Tuning

TEXT = (CONFIGS.parent / "docs" / "plans.md").read_text(encoding="utf-8")

FILES = dict(re.findall(r"```(?:yaml|python)\n# ([\w.-]+)[^\n]*\n(.*?)```", TEXT, re.S))
"""The examples, by the name in their first line."""

RUNS = {
    "first.yaml": 2 * 3 * 3,
    "tuning.yaml": 2 * 3 * 16,
    "tuned-optimizers.yaml": 2 * 2 * 8,
    "sweep.yaml": (5 + 2 * 2) * 3,
    "optimizers.yaml": (3 + 3 + 2) * 2,
    "links.yaml": 3 * 2,
    "watching.yaml": 3 * 3,
    "transfer.yaml": 4 * 2 * 3,
    "ours.yaml": 3 * 8,
    "two-datasets.yaml": 2 * 3 * 3,
}
"""How many runs each of them has, as far as they are known at once."""


def test_every_example_has_a_name_and_is_counted_here():
    assert len(FILES) == len(re.findall(r"```(?:yaml|python)\n", TEXT))
    assert {name for name in FILES if name.endswith(".yaml")} == set(RUNS)


def test_every_key_is_explained():
    for model in (Plan, Recipe, Tuning, Pretraining, DynamicsOptions):
        for key in model.model_fields:
            assert f"`{key}`" in TEXT or re.search(rf"^{key}:", FILES["first.yaml"], re.M), key


@pytest.mark.parametrize("name", RUNS)
def test_an_example_resolves_to_its_runs_without_a_warning(name: str, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(checks, "require_data", lambda config, split: None)
    for file, body in FILES.items():
        (tmp_path / file).write_text(body, encoding="utf-8")
    plan = load_plan(tmp_path / name)
    assert len(expand(plan)) == RUNS[name]
    assert checks.comparison_warnings(resolve_arms(plan)) == []
    if name == "ours.yaml":
        run = next(spec.id for spec in expand(plan) if spec.regularizer == "wrs" and spec.trial == 0)
        assert f"`{run}`" in TEXT


def test_private_data_without_a_file_of_ones_own_reaches_loaders_and_evaluator(tmp_path: Path):
    path = tmp_path / "two-datasets.yaml"
    path.write_text(FILES["two-datasets.yaml"], encoding="utf-8")
    tiles, crops = (resolve_arms(load_plan(path))[index].values for index in (0, 3))
    assert tiles["train_dataloader.dataset.ann_file"] == "train.json"
    assert tiles["val_dataloader.dataset.ann_file"] == "val.json"
    assert tiles["val_dataloader.dataset.metainfo.classes"] == ["crack", "rust"]
    assert tiles["val_dataloader.dataset.test_mode"] is True
    assert tiles["train_dataloader.dataset.data_prefix.img"] == "train/"
    assert crops["train_dataloader.dataset.data_root"] == "data/crops/"
    assert (tiles["model.bbox_head.num_classes"], crops["model.bbox_head.num_classes"]) == (2, 5)


def test_data_of_the_test_set_need_not_exist(tmp_path: Path):
    path = tmp_path / "two-datasets.yaml"
    path.write_text(FILES["two-datasets.yaml"], encoding="utf-8")
    found = checks.comparison_warnings(resolve_arms(load_plan(path)))
    assert len(found) == 2 and all("dataset not found: data/" in warning for warning in found)
    assert not any("coco" in warning.partition(":")[2] for warning in found)
