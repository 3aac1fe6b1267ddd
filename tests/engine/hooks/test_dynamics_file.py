"""The file of weight dynamics: what was written is read, and a run that is resumed goes on with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wrs_mm.engine.hooks.dynamics_file import DynamicsFile, read

NAMES, STAGES, QUANTITIES = ["a.weight", "b.weight"], ["a", "b"], ["norm", "turn"]


def values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, 2))


def begin(folder: Path, after: int) -> DynamicsFile:
    return DynamicsFile.begin(folder, NAMES, STAGES, QUANTITIES, after=after)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    file = begin(tmp_path, 0)
    for iteration in (50, 100):
        file.append(iteration, values(iteration))
    found = read(tmp_path)
    assert found is not None
    assert (found.weights, found.stages, found.quantities) == (NAMES, STAGES, QUANTITIES)
    assert found.iterations.tolist() == [50, 100]
    assert found.values == pytest.approx(np.stack([values(50), values(100)]), rel=1e-6)


@pytest.mark.parametrize("cut", [0, 7])
def test_a_resumed_run_has_each_iteration_once(tmp_path: Path, cut: int) -> None:
    file = begin(tmp_path, 0)
    for iteration in (50, 100, 150):
        file.append(iteration, values(iteration))
    data = tmp_path / "weight_dynamics.f32"
    data.write_bytes(data.read_bytes()[: len(data.read_bytes()) - cut])  # killed while it wrote
    begin(tmp_path, 100).append(150, values(1))
    found = read(tmp_path)
    assert found is not None and found.iterations.tolist() == [50, 100, 150]
    assert found.values[2] == pytest.approx(values(1), rel=1e-6)
    assert found.values[1] == pytest.approx(values(100), rel=1e-6)


def test_the_file_of_another_model_is_begun_anew(tmp_path: Path) -> None:
    begin(tmp_path, 0).append(50, values(0))
    DynamicsFile.begin(tmp_path, ["c.weight"], ["c"], QUANTITIES, after=100)
    found = read(tmp_path)
    assert found is not None and len(found.iterations) == 0 and found.weights == ["c.weight"]
