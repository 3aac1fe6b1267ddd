"""Runs by state, versions and machines."""

from __future__ import annotations

from pathlib import Path

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.provenance import Machine, machines, states, versions

SPEC = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)


def _run(status: Status, **result: object) -> RunData:
    made = Result(status=status, **result) if result else None  # type: ignore[arg-type]
    return RunData(SPEC, Path("nowhere"), status, made)


def test_states_are_counted_in_one_order_and_empty_ones_left_out():
    runs = [_run(Status.INTERRUPTED), _run(Status.DONE), _run(Status.PENDING), _run(Status.DONE)]
    assert list(states(runs).items()) == [("pending", 1), ("done", 2), ("interrupted", 1)]


def test_versions_that_differ_are_all_named():
    runs = [_run(Status.DONE, versions={"torch": number, "python": "3.11"}) for number in ("2.14", "2.13")]
    assert versions([*runs, _run(Status.PENDING)]) == {"torch": ["2.14", "2.13"], "python": ["3.11"]}


def test_machines_are_told_apart_by_what_changes_numbers_or_times():
    one, two = {"device": "cpu", "threads": 1}, {"device": "cpu", "threads": 1, "processes": 2}
    runs = [_run(Status.DONE, **kind) for kind in (one, two, one)]
    assert machines(runs) == {Machine("cpu", 1, 1): 2, Machine("cpu", 2, 1): 1}
