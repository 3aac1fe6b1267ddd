"""What a run's files say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wrs_mm.bench.runs.records import Result, Status, config_hash


def test_a_run_is_repeated_unless_it_came_to_an_end_of_its_own_or_was_weeded_out():
    assert [status.value for status in Status if status.final] == ["done", "diverged", "stopped"]


def test_a_file_of_another_version_is_refused():
    text = Result(status=Status.DONE).model_dump_json()
    assert Result.model_validate_json(text) == Result(status=Status.DONE)
    with pytest.raises(ValidationError):
        Result.model_validate_json(text.replace('"task"', '"tasks"'))


def test_the_hash_sees_values_and_not_the_order_of_keys():
    assert config_hash({"a": 1, "b": {"c": (1, 2)}}) == config_hash({"b": {"c": [1, 2]}, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 1.5})
    assert config_hash({"a": True}) != config_hash({"a": "True"})
    assert config_hash({1: "x", "b": dict}) == config_hash({"b": dict, 1: "x"})
