"""tools/perf/dynamics_cost.py: it measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.engine.hooks import dynamics_file

ROOT = Path(__file__).resolve().parents[2]


def test_every_second_step_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools" / "perf")
    import dynamics_cost

    iterations = []
    append = dynamics_file.DynamicsFile.append
    monkeypatch.setattr(
        dynamics_file.DynamicsFile,
        "append",
        lambda self, iteration, values: (iterations.append(iteration), append(self, iteration, values)),
    )
    plain, measured = dynamics_cost.step_seconds("mini/pspnet_r18-narrow_mini-cityscapes", 64, 2, 2)
    assert iterations == [2, 4, 6, 8]
    assert plain > 0 and measured > 0
