"""Successive halving: where a recipe's rungs are, and what that saves."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config

from wrs_mm.bench.plan.halving import Halving, Rung, rungs_of, share_trained
from wrs_mm.bench.plan.mistakes import Mistake


def _rungs(parts: list[float], **loop: Any) -> list[Rung]:
    return rungs_of(Config({"train_cfg": loop}), Halving(rungs=parts, keep=0.5))


def test_a_rung_is_the_first_validation_from_its_part_of_the_training_on():
    assert _rungs([0.25, 0.5], max_iters=600, val_interval=150) == [Rung(150, 0), Rung(300, 1)]
    assert _rungs([0.3, 0.5], max_iters=600, val_interval=100) == [Rung(200, 1), Rung(300, 2)]
    assert _rungs([0.25, 0.5], max_epochs=8) == [Rung(2, 1), Rung(4, 3)]
    assert _rungs([0.1], max_epochs=10, val_interval=2, val_begin=5) == [Rung(6, 0)]
    # 0.3 × 10 is 3.0000000000000004 in places.
    assert _rungs([0.1 + 0.2], max_epochs=10) == [Rung(3, 2)]


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        ({"max_iters": 600, "val_interval": 600}, "a recipe of 600 iterations that validates every 600"),
        ({"max_iters": 600}, "validates every 1000 iterations"),
        ({"max_iters": 600, "val_interval": 300}, "for the rung 0.5; lower train_cfg.val_interval"),
        ({"type": "Own"}, "say how long they train"),
        ({"max_epochs": 9, "dynamic_intervals": [(1, 2)]}, "validate at even intervals"),
    ],
)
def test_a_recipe_that_validates_too_rarely_is_refused(loop, said):
    with pytest.raises(Mistake) as caught:
        _rungs([0.25, 0.5], **loop)
    assert said in str(caught.value)
    assert caught.value.location[:2] == ("tuning", "halving")


def test_trials_share_a_budget_that_is_the_same_for_all_arms():
    halving = Halving(rungs=[0.25, 0.5], keep=0.5)
    rungs = _rungs([0.25, 0.5], max_iters=600, val_interval=150)
    # 16 to a quarter, 8 to the half, 4 to the end.
    assert share_trained(halving, rungs, 16, 600) == 16 * 150 + 8 * 150 + 4 * 300
    assert share_trained(halving, rungs, 1, 600) == 600
    assert [halving.survivors(count) for count in (1, 2, 3, 5, 16)] == [1, 1, 2, 3, 8]
