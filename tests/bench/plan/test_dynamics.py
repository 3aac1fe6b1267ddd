"""How a plan has its runs watch their weights, and that it changes nothing of what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_plans import SMALL, TUNING
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.checks import comparison_warnings
from wrs_mm.bench.plan.comparison import Resolver, resolve_arms
from wrs_mm.bench.plan.dynamics import DynamicsOptions
from wrs_mm.bench.plan.expansion import expand, planned_arms, planned_runs
from wrs_mm.bench.plan.plan import Plan, load_plan
from wrs_mm.bench.plan.resolve import config_hash
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.errors import PlanError


def _plan(folder: Path, extra: str = "", text: str = SMALL) -> Plan:
    (folder / "plan.yaml").write_text(text + extra, encoding="utf-8")
    return load_plan(folder / "plan.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_recipe(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dynamics: {interval: 20}", DynamicsOptions(interval=20)),
        ("dynamics: {}", DynamicsOptions(interval=50, frozen_bn="skip")),
        ("dynamics: {frozen_bn: fold}", DynamicsOptions(frozen_bn="fold")),
        ("", None),
    ],
)
def test_every_run_of_a_plan_knows_how_it_watches(line, expected, folder):
    plan = _plan(folder, line)
    assert plan.dynamics == expected
    assert {spec.dynamics for spec in expand(plan)} == {expected}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dynamics: true", r"line 6: dynamics: write a mapping such as \{interval: 50\}, not True$"),
        ("dynamics: 20", r"line 6: dynamics: write a mapping such as \{interval: 50\}, not 20$"),
        ("dynamics: {interval: 0}", "line 6: dynamics.interval: .*greater than or equal to 1$"),
        ("dynamics: {interval: 2.5}", "line 6: dynamics.interval: .*valid integer$"),
        ("dynamics: {intervall: 2}", "line 6: unknown key 'intervall'; did you mean interval"),
        ("dynamics: {frozen_bn: yes}", "line 6: dynamics.frozen_bn: .*'skip' or 'fold'$"),
    ],
)
def test_a_mistake_is_a_line(line, said, folder):
    with pytest.raises(PlanError, match=said):
        _plan(folder, line)


def test_it_changes_neither_folders_nor_configs_nor_settings(folder):
    plain, watching = _plan(folder), _plan(folder, "dynamics: {interval: 20}")
    for one, other in zip(
        planned_runs(planned_arms(plain)), planned_runs(planned_arms(watching)), strict=True
    ):
        assert one.spec.id == other.spec.id
        assert one.spec == other.spec.model_copy(update={"dynamics": None})
        configs = [Resolver(run.arm.plan).config(run).to_dict() for run in (one, other)]
        assert config_hash(configs[0]) == config_hash(configs[1])


def test_trials_of_a_tuned_plan_are_what_they_were(folder):
    plain = expand(_plan(folder, text=SMALL + TUNING))
    watching = expand(_plan(folder, "dynamics: {}", text=SMALL + TUNING))
    assert [one.id for one in plain] == [one.id for one in watching]


def test_a_run_that_does_not_watch_is_written_down_as_before_there_was_such_a_key():
    spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)
    old = spec.model_dump(mode="json")
    assert "dynamics" not in old and "trial" in old
    assert RunSpec.model_validate(old) == spec
    watching = spec.model_copy(update={"dynamics": DynamicsOptions(interval=7)})
    assert RunSpec.model_validate_json(watching.model_dump_json()) == watching


def test_weights_before_frozen_bn_that_some_arms_mean_and_nobody_watches_are_noticed(folder):
    write_recipe(folder, text=RECIPE.replace("norm_eval=False", "norm_eval=True"))
    arms = "[wd, {none: {frozen_bn: fold}}, {wrs: {frozen_bn: fold, target: init}}]"
    text = SMALL.replace("[none, wd, wrs]", arms)

    def warnings(extra: str) -> list[str]:
        found = comparison_warnings(resolve_arms(_plan(folder, extra, text)))
        return [one for one in found if "dynamics" in one]

    (warning,) = warnings("dynamics: {}")
    assert warning.endswith(
        "none (frozen_bn=fold), wrs (frozen_bn=fold, target=init) means the weights before it, dynamics does "
        "not; write dynamics: {frozen_bn: fold}"
    )
    assert warnings("dynamics: {frozen_bn: fold}") == warnings("") == []
