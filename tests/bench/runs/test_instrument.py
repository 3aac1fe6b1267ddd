"""What the harness adds to a recipe."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config

from wrs_mm.bench.plan.dynamics import DynamicsOptions
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.instrument import instrument, save_predictions


def spec(**others: Any) -> RunSpec:
    plain = {"recipe": "r", "regularizer": "wd", "options": {}, "optimizer": "recipe", "seed": 0}
    return RunSpec(**plain, baseline=True, **others)


@pytest.mark.parametrize(
    ("others", "kept"),
    [
        ({}, ["val_evaluator"]),
        ({"split": "test"}, ["test_evaluator"]),
        ({"trial": 0}, []),
        ({"trial": 0, "split": "test"}, []),
    ],
)
def test_predictions_are_kept_on_the_split_that_tables_report_and_of_no_trial(tmp_path, others, kept):
    config = Config({key: {"type": "IoUMetric"} for key in ("val_evaluator", "test_evaluator")})
    instrument(config, tmp_path, "none", spec(**others))
    recording = [key for key in ("val_evaluator", "test_evaluator") if "folder" in config[key]]
    assert recording == kept


def test_a_recipe_s_own_hooks_stay_and_the_harness_s_come_last(tmp_path):
    config = Config({"custom_hooks": [{"type": "EMAHook"}], "val_evaluator": {"type": "IoUMetric"}})
    instrument(config, tmp_path, "pytorch", spec())
    assert [hook["type"] for hook in config.custom_hooks] == ["EMAHook", "RandomStateHook", "SameBuffersHook"]
    assert (config.work_dir, config.launcher) == (str(tmp_path), "pytorch")
    assert config.default_hooks.checkpoint.type == "SafeCheckpointHook"
    assert config.val_evaluator.folder == str(tmp_path / "predictions")


@pytest.mark.parametrize(("trial", "watching"), [(None, True), (0, False)])
def test_a_run_whose_numbers_are_reported_watches_its_weights_as_its_plan_says(tmp_path, trial, watching):
    config = Config({"custom_hooks": [{"type": "EMAHook"}], "val_evaluator": {"type": "IoUMetric"}})
    instrument(config, tmp_path, "none", spec(trial=trial, dynamics=DynamicsOptions(interval=7)))
    hooks = {hook["type"]: hook for hook in config.custom_hooks}
    assert ("WeightDynamicsHook" in hooks) == watching
    if watching:
        assert hooks["WeightDynamicsHook"].to_dict() == {
            "type": "WeightDynamicsHook",
            "interval": 7,
            "frozen_bn": "skip",
        }
        assert "EMAHook" in hooks


@pytest.mark.parametrize("kind", ["WeightDynamicsHook", "wrs_mm.engine.hooks.WeightDynamicsHook"])
def test_a_recipe_s_own_hook_that_watches_gives_way_to_the_plan_s(tmp_path, kind):
    own = {"type": kind, "interval": 1}
    config = Config({"custom_hooks": [own], "val_evaluator": {"type": "IoUMetric"}})
    instrument(config, tmp_path, "none", spec())
    assert own in config.custom_hooks
    instrument(config, tmp_path, "none", spec(dynamics=DynamicsOptions()))
    assert [hook["interval"] for hook in config.custom_hooks if "interval" in hook] == [50]


@pytest.mark.parametrize("hooks", [{}, {"custom_hooks": None}])
def test_all_of_it_can_be_written_down(tmp_path, hooks):
    config = Config({**hooks, "val_evaluator": [{"type": "CocoMetric"}, {"type": "IoUMetric"}]})
    instrument(config, tmp_path, "none", spec(dynamics=DynamicsOptions()))
    assert Config.fromstring(config.pretty_text, ".py").to_dict() == config.to_dict()


def test_a_detectors_evaluator_writes_cocos_format(tmp_path):
    config = Config({"val_evaluator": [{"type": "mmdet.CocoMetric", "metric": "bbox"}]})
    assert save_predictions(config, tmp_path)
    assert config.val_evaluator[0].outfile_prefix == str(tmp_path / "val")


def test_other_evaluators_are_left_alone(tmp_path):
    config = Config({"val_evaluator": {"type": "VOCMetric", "metric": "mAP"}})
    before = config.to_dict()
    assert not save_predictions(config, tmp_path)
    assert config.to_dict() == before
