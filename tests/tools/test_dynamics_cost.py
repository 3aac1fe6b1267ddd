"""tools/perf/dynamics_cost.py: it measures what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.engine.hooks import dynamics_file

ROOT = Path(__file__).resolve().parents[2]


def test_of_eight_steps_one_is_measured_and_its_share_is_that_of_a_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools" / "perf")
    import dynamics_cost

    iterations = []
    append = dynamics_file.DynamicsFile.append
    monkeypatch.setattr(
        dynamics_file.DynamicsFile,
        "append",
        lambda self, iteration, values: (iterations.append(iteration), append(self, iteration, values)),
    )
    seconds = dynamics_cost.step_seconds("mini/pspnet_r18-narrow_mini-cityscapes", 64, 2, 2)
    assert iterations == [8, 16, 24]
    assert tuple(seconds) == dynamics_cost.KINDS and min(seconds.values()) > 0
    made_up = {"left alone": 2.0, "turns": 2.1, "measured": 2.7}
    assert dynamics_cost.share(made_up, 50) == pytest.approx((0.7 + 3 * 0.1) / 100)
