"""Whether arms trained with the same effective schedule, in words."""

from __future__ import annotations

import pytest
from made_up_dynamics import made_up_dynamics, run_data

from wrs_mm.bench.report.schedules import schedule_answers
from wrs_mm.bench.statistics.dynamics import watched_runs


def _answers(*factors: float):
    runs = [run_data("wd", seed, made_up_dynamics(turn=0.01, norm=2.0)) for seed in range(len(factors))]
    runs += [
        run_data("none", seed, made_up_dynamics(turn=[0.01 * factor, 0.01], norm=4.0))
        for seed, factor in enumerate(factors)
    ]
    return schedule_answers(watched_runs(runs))


def test_an_answer_has_its_numbers_and_their_interval():
    (answer,) = _answers(0.25, 0.24, 0.26)
    assert (answer.arm, answer.verdict) == ("none", "another schedule")
    # The mean of a factor of 4 and of none; half the logarithms' spread, times 4.3 / √3.
    assert answer.sentence == (
        "none: a factor of 2.00 from wd in angular update; over 3 seeds the 95 % interval is [1.90, 2.10]. "
        "By quarters of the training: 0.50, 0.50, 0.50, 0.50 times as far, at 0.25, 0.25, 0.25, 0.25 times "
        "the effective learning rate; furthest apart in a, 0.25 times as far."
    )


@pytest.mark.parametrize(("factors", "said"), [((0.25,), "from 1 seed,"), ((0.25, 0.3), "from 2 seeds,")])
def test_of_few_seeds_it_says_so(factors, said):
    (answer,) = _answers(*factors)
    assert answer.verdict == "too few seeds"
    assert f"{said} too few to say how sure that is" in answer.sentence


def test_without_a_baseline_there_is_no_answer():
    assert schedule_answers(watched_runs([run_data("wrs", 0, made_up_dynamics())])) == []
