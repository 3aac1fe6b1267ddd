"""What tuning found of each arm, from a work dir's runs."""

from __future__ import annotations

from pathlib import Path

from wrs_mm.bench.plan.search import points
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.benchmark import BenchmarkData, RunData
from wrs_mm.bench.statistics.tuned import EFFORT_COLUMNS, by_tuned_scenario, effort, tuned_arms

TUNING = Tuning(
    trials=8,
    search={"lr": [0.01, 0.1], "wd": {"weight_decay": [1e-4, 1e-2]}},
    seeds=[100],
)


def trials(arm: str, recipe: str = "r", **fixed: float) -> list[RunData]:
    """The trials of an arm, the better on test the larger the learning rate."""
    space = TUNING.space(arm, fixed)
    found = []
    for number, point in enumerate(points(space, TUNING.trials)):
        spec = RunSpec(
            recipe=recipe,
            regularizer=arm,
            options={},
            settings={**fixed, **point},
            optimizer="recipe",
            seed=100,
            trial=number,
            split="test",
            baseline=arm == "wd",
        )
        value = 100 * point.get("lr", 0.05)
        result = Result(
            status=Status.DONE, task="segmentation", metrics={"mIoU": value}, test={"mIoU": value + 1}
        )
        found.append(RunData(spec, Path(), Status.DONE, result))
    return found


def benchmark(*runs: RunData, tuning: Tuning | None = TUNING) -> BenchmarkData:
    return BenchmarkData("b", Path(), None, runs, tuning)


def test_arms_come_recipe_by_recipe_the_baseline_first():
    made = tuned_arms(
        benchmark(*trials("none", "b"), *trials("wd", "b"), *trials("wd", "a"), *trials("none", "a"))
    )
    assert [(one.spec.recipe, one.label) for one in made] == [
        ("a", "wd"),
        ("a", "none"),
        ("b", "wd"),
        ("b", "none"),
    ]
    assert [[one.label for one in own] for own in by_tuned_scenario(made)] == [["wd", "none"]] * 2


def test_a_plan_without_tuning_has_no_tuned_arms():
    assert tuned_arms(benchmark(*trials("none"), tuning=None)) == []


def test_the_space_is_what_was_looked_for_without_what_the_plan_fixed():
    wd, none = tuned_arms(benchmark(*trials("wd", lr=0.05), *trials("none")))
    assert (list(wd.space), list(none.space)) == (["weight_decay"], ["lr"])


def test_a_best_trial_at_the_border_names_the_key_of_the_plan():
    runs = trials("none")
    best = max(run.spec.settings["lr"] for run in runs)
    (inside,) = tuned_arms(benchmark(*runs))
    assert inside.choice.settings == {"lr": best}
    assert inside.border == {}
    narrow = Tuning(trials=8, search={"lr": [0.01, best]}, seeds=[100])
    (outside,) = tuned_arms(benchmark(*runs, tuning=narrow))
    assert outside.border == {"lr": "tuning.search.lr"}


def test_trials_are_counted_in_the_states_they_are_in():
    runs = trials("none")
    lost = Result(status=Status.DIVERGED, task="segmentation")
    runs[0] = RunData(runs[0].spec, Path(), Status.DIVERGED, lost)
    runs[1] = RunData(runs[1].spec, Path(), Status.PENDING)
    (one,) = tuned_arms(benchmark(*runs))
    assert (one.planned, one.through, one.task) == (8, 7, "segmentation")
    assert one.lost == {0: Status.DIVERGED}


def test_effort_has_a_row_for_each_number_of_trials_and_no_interval_without_final_runs():
    frame = effort(tuned_arms(benchmark(*trials("none"), *trials("wd"))))
    assert tuple(frame.columns) == EFFORT_COLUMNS
    assert list(frame["k"]) == [*range(1, 9), *range(1, 9)]
    assert frame["expected"].isna().all()
    own = frame[frame["regularizer"] == "none"]["of_trials"]
    assert own.is_monotonic_increasing
    assert own.iloc[-1] == 1 + 100 * max(run.spec.settings["lr"] for run in trials("none"))


def test_a_trial_that_was_stopped_has_not_diverged_and_leaves_the_search_unknown():
    runs = trials("none")
    result = Result(status=Status.STOPPED, task="segmentation", metrics={"mIoU": 3.0})
    runs[0] = RunData(runs[0].spec, Path(), Status.STOPPED, result)
    (one,) = tuned_arms(benchmark(*runs))
    assert (one.count(Status.STOPPED), one.count(Status.DIVERGED)) == (1, 0)
    assert one.choice.trial is not None
    assert one.search is None and one.best_of_k == [] and one.near_best == []
