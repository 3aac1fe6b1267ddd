"""One plan out of its parts, and none out of parts of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wrs_mm.bench.packs.merge import one_plan
from wrs_mm.bench.plan.dynamics import DynamicsOptions
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.work_dir import Listed
from wrs_mm.errors import PlanError


def _spec(arm: str, seed: int, recipe: str = "r", **more: Any) -> RunSpec:
    return RunSpec(
        **{"recipe": recipe, "regularizer": arm, "options": {}, "optimizer": "recipe", "seed": seed},
        **{"baseline": arm == "wd", **more},
    )


def _tuning(trials: int, highest: float = 1.0) -> Tuning:
    return Tuning.model_validate({"trials": trials, "search": {"lr": [0.01, highest]}, "seeds": [100]})


def _merged(*plans: Listed) -> Listed:
    return one_plan([(Path(f"place{number}"), plan) for number, plan in enumerate(plans)])


def test_runs_stand_in_the_order_of_the_first_place_and_once():
    one = Listed(name="p", runs=[_spec("wd", 1), _spec("wd", 0)])
    other = Listed(name="p", runs=[_spec("none", 0), _spec("wd", 0), _spec("wd", 0, "s")])
    assert _merged(one, other).runs == [_spec("wd", 1), _spec("wd", 0), _spec("none", 0), _spec("wd", 0, "s")]
    assert _merged(one) == one
    assert _merged(one, one) == one


def test_runs_that_only_watch_their_weights_otherwise_are_the_same():
    watching = _spec("wd", 0, dynamics=DynamicsOptions())
    one, other = Listed(name="p", runs=[watching]), Listed(name="p", runs=[_spec("wd", 0)])
    assert _merged(one, other) == one


def test_a_pretraining_has_a_baseline_of_its_own():
    pretraining = _spec("wrs", 0, "p", baseline=True, pretraining="0123")
    plan = Listed(name="p", runs=[_spec("wd", 0), pretraining])
    assert _merged(plan, plan) == plan


def test_a_longer_search_contains_the_shorter_one():
    plans = [Listed(name="p", runs=[], tuning=_tuning(trials)) for trials in (8, 16, 4)]
    assert _merged(*plans).tuning == _tuning(16)


def test_finals_that_another_place_has_are_not_to_come():
    specs = [_spec("wd", seed) for seed in range(4)]
    one = Listed(name="p", runs=specs[:1], tuning=_tuning(8), to_come=3)
    other = Listed(name="p", runs=specs[:3], tuning=_tuning(8), to_come=1)
    assert _merged(one, other) == Listed(name="p", runs=specs[:3], tuning=_tuning(8), to_come=1)
    assert _merged(one, other, Listed(name="p", runs=specs, tuning=_tuning(8))).to_come == 0


BASE = Listed(name="p", runs=[_spec("wd", 0), _spec("none", 0)], tuning=_tuning(8))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "q"}, "place1 is of the plan 'q', place0 of 'p'; unpack them into two work dirs"),
        ({"runs": [_spec("wd", 0, cfg_options={"a": 1}, links={"b": "c"})]}, "in cfg_options, links$"),
        ({"runs": [_spec("wd", 7, cfg_options={"a": 1})]}, "config, cfg_options, links or split of r differ"),
        ({"runs": [_spec("wd", 7, split="test")]}, "config, cfg_options, links or split of r differ"),
        ({"runs": [_spec("none", 7, baseline=True)]}, "the baselines are none and wd"),
        ({"tuning": _tuning(8, highest=2.0)}, "the tuning differs in more than its trials"),
        ({"tuning": None}, "the tuning differs in more than its trials"),
    ],
)
def test_parts_of_other_plans_are_refused(change, said):
    with pytest.raises(PlanError, match=said) as error:
        _merged(BASE, BASE.model_copy(update=change))
    assert str(error.value).startswith("place1 is of ")
    assert "\n" not in str(error.value)
