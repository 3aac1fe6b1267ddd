"""What a run's files say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wrs_mm.bench.plan.resolve import config_hash
from wrs_mm.bench.runs.records import Result, Status


def test_a_run_is_repeated_unless_it_came_to_an_end_of_its_own_or_was_weeded_out():
    assert [status.value for status in Status if status.final] == ["done", "diverged", "stopped"]


def test_a_file_of_another_version_is_refused():
    text = Result(status=Status.DONE).model_dump_json()
    assert Result.model_validate_json(text) == Result(status=Status.DONE)
    with pytest.raises(ValidationError):
        Result.model_validate_json(text.replace('"task"', '"tasks"'))


@pytest.mark.parametrize(
    ("reason", "log", "account"),
    [
        ("killed by SIGSEGV", ["loss: 3.5", " ", ""], "killed by SIGSEGV; its log ends with: loss: 3.5"),
        ("killed by SIGSEGV", [], "killed by SIGSEGV"),
        (None, ["loss: 3.5"], "loss: 3.5"),
        # What an exception says is in the log too, over as many lines as it has.
        (
            "RuntimeError: broken by a test",
            ["RuntimeError: broken", "by a test"],
            "RuntimeError: broken by a test",
        ),
        ("give --x", ["wrs_mm.errors.UsageError: give --x"], "give --x"),
        (None, [], ""),
    ],
)
def test_why_a_run_is_not_done_is_told_with_the_end_of_its_log_where_that_says_more(reason, log, account):
    assert Result(status=Status.FAILED, reason=reason, log_tail=log).account() == account


def test_the_hash_sees_values_and_not_the_order_of_keys():
    assert config_hash({"a": 1, "b": {"c": (1, 2)}}) == config_hash({"b": {"c": [1, 2]}, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 1.5})
    assert config_hash({"a": True}) != config_hash({"a": "True"})
    assert config_hash({1: "x", "b": dict}) == config_hash({"b": dict, 1: "x"})
