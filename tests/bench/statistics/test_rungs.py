"""Which trials of an arm go on after each rung."""

from __future__ import annotations

import math

from wrs_mm.bench.plan.halving import Halving, Rung
from wrs_mm.bench.statistics.rungs import standing

HALVING = Halving(rungs=[0.25, 0.5], keep=0.5)
RUNGS = [Rung(150, 0), Rung(300, 1)]
POINTS = {number: {"lr": 0.1 * (number + 1)} for number in range(5)}
NAN = math.nan


def _standing(*measured: list[float | None]):
    return standing(HALVING, RUNGS, POINTS, dict(enumerate(measured)))


def test_nobody_goes_on_before_all_have_come_as_far():
    found = _standing([1, None], [2, None], [3, None], [4, None], [None, None])
    assert found.limits == dict.fromkeys(range(5), 150)
    assert found.stopped == {}


def test_the_better_half_goes_on_rung_by_rung():
    first = _standing([1, None], [2, None], [3, None], [4, None], [5, None])
    assert first.limits == dict.fromkeys((2, 3, 4), 300)
    assert first.stopped == {1: "stopped at 150: number 4 of 5", 0: "stopped at 150: number 5 of 5"}
    second = _standing([1, None], [2, None], [3, 9], [4, 8], [5, 7])
    assert second.limits == {2: None, 3: None}
    assert second.stopped == {**first.stopped, 4: "stopped at 300: number 3 of 3"}


def test_a_diverged_trial_counts_and_never_goes_on():
    found = _standing([NAN, NAN], [NAN, NAN], [NAN, NAN], [1, None], [2, None])
    # Three of five may, two can.
    assert found.limits == {3: 300, 4: 300}
    later = _standing([NAN, NAN], [NAN, NAN], [NAN, NAN], [1, NAN], [2, 5])
    assert later.limits == {4: None}
    # What of such a trial still waits, with another seed, waits for nothing.
    assert {number: found.stopped[number] for number in range(3)} == dict.fromkeys(
        range(3), "stopped at 150: diverged"
    )
    assert _standing(*[[NAN, NAN]] * 5).limits == {}


def test_of_equal_ones_the_smaller_lr_goes_on():
    found = _standing(*[[7, None]] * 5)
    assert sorted(found.limits) == [0, 1, 2]


def test_it_depends_on_the_measured_alone_and_not_on_how_far_anybody_is():
    early = _standing([1, None], [2, None], [3, None], [4, 8], [5, None])
    assert early.limits == dict.fromkeys((2, 3, 4), 300)
