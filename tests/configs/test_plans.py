"""The plans that ship: each resolves as it is, and docs/studies.md says how many runs it has."""

from __future__ import annotations

import re

import pytest
from arms import CONFIGS, ROOT

from wrs_mm.bench.plan.comparison import Resolver, resolve_arms, resolve_pretrainings
from wrs_mm.bench.plan.expansion import expand, planned_arms
from wrs_mm.bench.plan.plan import load_plan

PLANS = sorted(CONFIGS.glob("benchmarks/*.yaml"))
STUDIES = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_it_resolves_with_its_pretrainings(path) -> None:
    plan = load_plan(path)
    assert plan.name == path.stem
    resolver = Resolver(plan)
    arms = resolve_arms(plan, resolver)
    assert len(arms) == len(planned_arms(plan))
    assert bool(resolve_pretrainings(plan, resolver)) == any(entry.recipe for entry in plan.pretraining)


@pytest.mark.parametrize(
    ("name", "runs"),
    re.findall(r"^\| \[`(\w+)`\]\(\.\./configs/benchmarks/\w+\.yaml\) \|.*\| (\d+) \|", STUDIES, re.M),
)
def test_it_has_as_many_runs_as_the_list_of_studies_says(name: str, runs: str) -> None:
    plan = load_plan(CONFIGS / "benchmarks" / f"{name}.yaml")
    trials = [spec for spec in expand(plan) if spec.trial is not None]
    finals = len(planned_arms(plan)) * len(plan.seeds)
    assert len(trials) + finals == int(runs)


def test_the_list_of_studies_has_all_plans_on_small_data() -> None:
    listed = set(re.findall(r"\.\./configs/benchmarks/(\w+)\.yaml", STUDIES))
    large = ("coco", "cityscapes", "imagenet")
    small = {path.stem for path in PLANS if not path.stem.startswith(large)}
    assert small - listed == {"mini", "real"}
