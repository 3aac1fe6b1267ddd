"""From runs and results to arrays of trials."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wrs_mm.bench.plan.search import Choices, Range, points
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.robustness import shares_near_best
from wrs_mm.bench.statistics.searches import coordinates, searches

SPACE = {"lr": Range(0.01, 1.0)}
TRIALS = points(SPACE, 16)


def spec(settings: dict[str, float], seed: int, trial: int | None = None, **more: object) -> RunSpec:
    return RunSpec(
        recipe="mini/pspnet",
        regularizer="wrs",
        options={},
        settings=settings,
        optimizer="recipe",
        seed=seed,
        trial=trial,
        split="test",
        baseline=False,
        **more,
    )


def done(tune: float, test: float) -> Result:
    return Result(
        status=Status.DONE, task="segmentation", dataset="d", metrics={"mIoU": tune}, test={"mIoU": test}
    )


def diverged() -> Result:
    return Result(status=Status.DIVERGED, task="segmentation", dataset="d")


def study(seeds: tuple[int, ...] = (100,)) -> list[tuple[RunSpec, Result | None]]:
    """Trials on a bell around lr 0.1, the largest learning rates diverge; final runs at the best trial."""
    runs: list[tuple[RunSpec, Result | None]] = []
    height = [50 * math.exp(-0.5 * (math.log10(one["lr"]) + 1) ** 2 / 0.5) for one in TRIALS]
    for number, (settings, value) in enumerate(zip(TRIALS, height, strict=True)):
        for offset, seed in enumerate(seeds):
            result = done(value - 2 + offset, value + offset) if settings["lr"] < 0.6 else diverged()
            runs.append((spec(settings, seed, number), result))
    best = int(np.argmax(height))
    runs += [(spec(TRIALS[best], seed), done(0.0, height[best] + 0.1 * seed)) for seed in range(5)]
    return runs


def test_a_search_holds_trials_in_order_and_finals_on_test() -> None:
    (one,) = searches(study()).values()
    assert one.numbers == tuple(range(16))
    assert one.metric == "mIoU"
    trained = [settings["lr"] < 0.6 for settings in TRIALS]
    assert [not math.isnan(value) for value in one.tune] == trained
    assert np.array(one.test)[trained] - np.array(one.tune)[trained] == pytest.approx(
        np.full(sum(trained), 2)
    )
    assert one.best == int(np.nanargmax(one.tune))
    assert list(one.finals) == [0, 1, 2, 3, 4]
    # The last of best of k is the chosen trial's number on test.
    assert one.best_of_k()[-1].metric == one.test[one.best]


def test_a_landscape_is_drawn_over_the_space_of_the_plan() -> None:
    (one,) = searches(study()).values()
    found = one.landscape(SPACE)
    assert found is not None
    # Within 5 % of a bell: |log10 lr + 1| below √(−log 0.95), of a range of two decades.
    assert shares_near_best(found)[2].share == pytest.approx(math.sqrt(-math.log(0.95)), abs=0.05)
    border = (math.log10(0.6) + 2) / 2
    assert found.trains.mean() == pytest.approx(border, abs=0.05)


def test_a_trial_of_several_seeds_is_their_mean_and_diverges_with_one_of_them() -> None:
    (alone,) = searches(study()).values()
    runs = study(seeds=(100, 101))
    (several,) = searches(runs).values()
    assert several.seeds == 2
    assert several.test[one_that_trained(several)] == alone.test[one_that_trained(alone)] + 0.5
    runs[2 * one_that_trained(several)] = (runs[2 * one_that_trained(several)][0], diverged())
    (lost,) = searches(runs).values()
    assert math.isnan(lost.tune[one_that_trained(several)])


def one_that_trained(search: object) -> int:
    return next(i for i, settings in enumerate(TRIALS) if settings["lr"] < 0.6)


def test_while_a_trial_waits_nothing_is_chosen() -> None:
    runs = study()
    runs[3] = (runs[3][0], None)
    (one,) = searches(runs).values()
    assert one.best is None
    assert one.landscape(SPACE) is None
    assert 3 not in one.numbers
    assert len(one.best_of_k()) == 15


def test_arms_without_trials_or_without_test_have_no_search() -> None:
    untested = [(one, Result(**{**result.model_dump(), "test": {}})) for one, result in study() if result]
    assert searches(untested) == {}
    assert searches([run for run in study() if run[0].trial is None]) == {}


def test_final_runs_at_other_settings_are_not_those_of_the_search() -> None:
    runs = [*study(), (spec({"lr": 0.012}, seed=9), done(1.0, 1.0))]
    (one,) = searches(runs).values()
    assert 9 not in one.finals


def test_coordinates_are_where_the_sequence_was() -> None:
    space = {"lr": Range(0.01, 1.0), "momentum": Range(0.0, 1.0, "linear"), "interval": Choices([1, 2, 4, 8])}
    assert coordinates(space, {"lr": 0.1, "momentum": 0.25, "interval": 4}) == pytest.approx(
        [0.5, 0.25, 0.625]
    )
    made = points(space, 8)
    assert all(0 <= share <= 1 for one in made for share in coordinates(space, one))
