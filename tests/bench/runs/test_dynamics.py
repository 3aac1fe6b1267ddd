"""What a run's weights did, as far as reports and packs go into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wrs_mm.bench.runs.dynamics import run_dynamics
from wrs_mm.engine.hooks.dynamics_file import DATA, HEAD, Contents, DynamicsFile, to_bytes


def test_of_many_reports_some_are_read_and_these_are_all_of_them_next_time(tmp_path: Path) -> None:
    file = DynamicsFile.begin(tmp_path, Contents(["a"], ["a"], ["norm"]), after=0)
    for iteration in range(1, 1001):
        file.append(iteration, np.array([[1.0 / iteration]]))
    found = run_dynamics(tmp_path)
    assert found is not None and len(found.iterations) == 200
    assert found.iterations[[0, -1]].tolist() == [1, 1000]
    (tmp_path / DATA).write_bytes(to_bytes(found))
    again = run_dynamics(tmp_path)
    assert again is not None and to_bytes(again) == to_bytes(found)


def test_a_run_that_watches_nothing_or_whose_file_is_damaged_has_none(tmp_path: Path) -> None:
    assert run_dynamics(tmp_path) is None
    DynamicsFile.begin(tmp_path, Contents(["a"], ["a"], ["norm"]), after=0)
    assert run_dynamics(tmp_path) is not None
    (tmp_path / HEAD).write_text("{}")
    assert run_dynamics(tmp_path) is None
