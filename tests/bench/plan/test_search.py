"""Where tuning looks: values, and the points of trials, which nothing moves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wrs_mm.bench.plan.mistakes import Mistake
from wrs_mm.bench.plan.search import BORDER, LR, Choices, Range, parse_values, points, setting_label

RATE = Range(0.01, 1.0)
DECAY = Range(1e-5, 1e-1)


def test_a_longer_search_contains_the_shorter_one():
    space = {LR: RATE, "weight_decay": DECAY}
    longest = points(space, 64)
    for count in range(1, 64):
        assert points(space, count) == longest[:count]


def test_neither_another_setting_nor_another_arm_moves_a_point():
    alone = points({LR: RATE}, 16)
    wider = points({LR: RATE, "target": Range(0.5, 4), "eps": DECAY}, 16)
    assert [point[LR] for point in wider] == [point[LR] for point in alone]
    fewer = points({LR: RATE, "target": Range(0.5, 4)}, 16)
    assert [point["target"] for point in wider] == [point["target"] for point in fewer]


def test_lr_is_the_first_coordinate_wherever_it_stands_and_also_where_it_is_not():
    one, other = {LR: RATE, "weight_decay": DECAY}, {"weight_decay": DECAY, LR: RATE}
    assert points(one, 8) == points(other, 8)
    without = points({"weight_decay": DECAY}, 8)
    assert [point["weight_decay"] for point in without] == [p["weight_decay"] for p in points(one, 8)]


def test_an_arm_with_a_range_of_its_own_is_tried_at_the_same_shares_of_it():
    other = Range(0.1, 10)
    for mine, theirs in zip(points({LR: RATE}, 32), points({LR: other}, 32), strict=True):
        assert other.share(theirs[LR]) == pytest.approx(RATE.share(mine[LR]), abs=0.002)


def test_points_are_these_and_stay_these():
    # A study that is taken up again, here or elsewhere, must find its trials.
    assert points({LR: RATE, "weight_decay": DECAY}, 4) == [
        {LR: 0.0661, "weight_decay": 0.0719},
        {LR: 0.645, "weight_decay": 3.57e-05},
        {LR: 0.301, "weight_decay": 0.00186},
        {LR: 0.0248, "weight_decay": 0.000118},
    ]


def test_points_are_spread_more_evenly_than_random_ones():
    # The first 2^k points of a coordinate lie one in each of as many equal parts.
    for count in (4, 16, 64):
        for name in (LR, "weight_decay"):
            space = {LR: RATE, "weight_decay": DECAY}
            shares = [space[name].share(point[name]) for point in points(space, count)]
            parts = np.floor(np.array(shares) * count + 0.02).astype(int)
            assert len(set(parts)) >= 0.9 * count


@pytest.mark.parametrize(("scale", "place"), [("log", np.log), ("linear", lambda value: value)])
def test_values_are_uniform_on_their_scale(scale, place):
    values = Range(0.01, 1.0, scale)
    drawn = place([values.value(share) for share in np.linspace(0, 1, 1001)])
    ends = place(np.array([0.01, 1.0]))
    # Three digits leave steps.
    assert stats.kstest(drawn, stats.uniform(ends[0], ends[1] - ends[0]).cdf).statistic < 0.01


def test_values_have_three_digits_and_never_leave_the_range():
    narrow = Range(0.123456, 0.123789)
    for values in (RATE, DECAY, Range(-1, 1, "linear"), narrow):
        for share in np.linspace(0, 1, 201):
            value = values.value(share)
            assert values.low <= value <= values.high
            assert value in (values.low, values.high) or value == float(f"{value:.3g}")


def test_a_point_of_a_study_is_one_folder():
    made = points({LR: RATE, "weight_decay": DECAY}, 128)
    assert len({setting_label(point) for point in made}) == 128


def test_choices_are_tried_equally_often():
    drawn = [point["granularity"] for point in points({"granularity": Choices(["filter", "layer"])}, 16)]
    assert drawn.count("filter") == drawn.count("layer") == 8
    assert Choices([1, 2, 3]).value(1.0) == 3


def test_a_value_in_the_outermost_twentieth_lies_at_the_border():
    ends = [RATE.value(BORDER / 2), RATE.value(1 - BORDER / 2)]
    assert all(map(RATE.at_border, [0.01, 1.0, *ends]))
    assert not any(map(RATE.at_border, [RATE.value(2 * BORDER), 0.1, RATE.value(1 - 2 * BORDER)]))
    assert not Choices(["filter", "layer"]).at_border("filter")


def test_the_forms_of_a_plan():
    assert parse_values([1, 10]) == Range(1, 10)
    assert parse_values({"low": 0, "high": 1, "scale": "linear"}) == Range(0, 1, "linear")
    assert parse_values({"low": 1, "high": 2}) == Range(1, 2, "log")
    assert parse_values({"choices": ["a", 2]}) == Choices(["a", 2])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (0.1, "write [low, high]"),
        ([0.1], "write [low, high]"),
        (["a", "b"], "write [low, high]"),
        ([0.1, float("inf")], "write [low, high]"),
        ({"low": 0.1}, "write [low, high]"),
        ({"low": 0.1, "high": 1, "step": 2}, "write [low, high]"),
        ({"low": 0.1, "high": 1, "scale": "cubic"}, "a scale is log or linear, not 'cubic'"),
        ([1, 1], "from a number to a larger one, not from 1 to 1"),
        ([0, 1], "begins above 0, not at 0; write {low: 0, high: 1, scale: linear}"),
        ({"choices": []}, "lists no value"),
        ({"choices": [1, 1]}, "1 is listed twice"),
    ],
)
def test_what_is_no_range_is_refused_with_what_to_write(content, said):
    with pytest.raises(Mistake) as caught:
        parse_values(content)
    assert said in str(caught.value)
