"""The file of weight dynamics: what was written is read, and a run that is resumed goes on with it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from wrs_mm.engine.hooks.dynamics_file import (
    DATA,
    HEAD,
    Contents,
    Dynamics,
    DynamicsFile,
    parse,
    read,
    thinned,
    to_bytes,
)

CONTENTS = Contents(["a.weight", "b.weight"], ["a", "b"], ["norm", "turn"], sgd=False, law="adamw")


def values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, 2))


def begin(folder: Path, after: int) -> DynamicsFile:
    return DynamicsFile.begin(folder, CONTENTS, after=after)


def written(folder: Path, *iterations: int) -> Dynamics:
    file = begin(folder, 0)
    for iteration in iterations:
        file.append(iteration, values(iteration))
    found = read(folder)
    assert found is not None
    return found


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    found = written(tmp_path, 50, 100)
    assert found.contents == CONTENTS
    assert found.iterations.tolist() == [50, 100]
    assert found.values == pytest.approx(np.stack([values(50), values(100)]), rel=1e-6)
    assert found.of("turn") == pytest.approx(np.stack([values(50)[:, 1], values(100)[:, 1]]), rel=1e-6)


@pytest.mark.parametrize("cut", [0, 7])
def test_a_resumed_run_has_each_iteration_once(tmp_path: Path, cut: int) -> None:
    written(tmp_path, 50, 100, 150)
    data = tmp_path / DATA
    data.write_bytes(data.read_bytes()[: len(data.read_bytes()) - cut])  # killed while it wrote
    begin(tmp_path, 100).append(150, values(1))
    found = read(tmp_path)
    assert found is not None and found.iterations.tolist() == [50, 100, 150]
    assert found.values[2] == pytest.approx(values(1), rel=1e-6)
    assert found.values[1] == pytest.approx(values(100), rel=1e-6)


def test_the_file_of_another_model_is_begun_anew(tmp_path: Path) -> None:
    written(tmp_path, 50)
    other = dataclasses.replace(CONTENTS, weights=["c.weight"], stages=["c"])
    DynamicsFile.begin(tmp_path, other, after=100)
    found = read(tmp_path)
    assert found is not None and len(found.iterations) == 0 and found.contents == other


def test_a_run_without_a_weight_to_measure_has_a_file(tmp_path: Path) -> None:
    DynamicsFile.begin(tmp_path, Contents([], [], ["norm"]), after=0)
    found = read(tmp_path)
    assert found is not None and found.values.shape == (0, 0, 1)


@pytest.mark.parametrize("count", [1, 5, 6, 97])
def test_thinned_reports_are_some_of_all_from_the_first_to_the_last(tmp_path: Path, count: int) -> None:
    whole = written(tmp_path, *range(10, 10 * count + 1, 10))
    some = thinned(whole, 5)
    assert len(some.iterations) == min(5, count)
    assert some.iterations[[0, -1]].tolist() == [10, 10 * count]
    places = np.searchsorted(whole.iterations, some.iterations)
    assert np.array_equal(whole.values[places], some.values)
    assert max(np.diff(some.iterations), default=10) <= min(np.diff(some.iterations), default=10) + 10
    again = thinned(some, 5)
    assert np.array_equal(again.iterations, some.iterations) and np.array_equal(again.values, some.values)


def test_numbers_are_written_as_they_were_read(tmp_path: Path) -> None:
    found = written(tmp_path, 50, 100)
    data = (tmp_path / DATA).read_bytes()
    assert to_bytes(found) == data
    assert to_bytes(parse((tmp_path / HEAD).read_bytes(), data[:-3])) == data[: 4 * CONTENTS.record]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"weights": ["a.weight"]},
        {"weights": [1, 2]},
        {"stages": "ab"},
        {"more": 1},
        {"quantities": None},
    ],
)
def test_a_head_that_does_not_fit_is_no_file(tmp_path: Path, change: dict[str, object]) -> None:
    written(tmp_path, 50)
    head = json.loads((tmp_path / HEAD).read_text())
    (tmp_path / HEAD).write_text(json.dumps({**head, **change}))
    assert read(tmp_path) is None
    for text in (b"[]", b"{", json.dumps({"version": 1}).encode()):
        with pytest.raises(ValueError, match="is damaged or of another version"):
            parse(text, b"")
