"""The power of paired comparisons against simulation and against an integral of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from wrs_mm.bench.statistics.over_seeds import interval
from wrs_mm.bench.statistics.power import (
    detectable,
    detectable_sentence,
    minimum_detectable_difference,
    pooled_sd,
    power_of_paired_differences,
)

TRIALS = 20_000


def told_apart(differences: np.ndarray) -> float:
    """The share of rows whose Student's interval leaves out 0."""
    n = differences.shape[1]
    half = stats.t.ppf(0.975, n - 1) * differences.std(1, ddof=1) / math.sqrt(n)
    return float((np.abs(differences.mean(1)) > half).mean())


def margin(share: float) -> float:
    """Four Monte Carlo standard errors."""
    return 4 * math.sqrt(share * (1 - share) / TRIALS)


@pytest.mark.parametrize("n", [3, 4, 5, 8, 20])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_minimum_detectable_difference_is_detected_as_often_as_it_says(n: int, power: float) -> None:
    difference = minimum_detectable_difference(2.5, n, power)
    draws = np.random.default_rng(n).normal(difference, 2.5, (TRIALS, n))
    assert told_apart(draws) == pytest.approx(power, abs=margin(power))


def test_told_apart_is_what_the_report_calls_better_or_worse() -> None:
    draws = np.random.default_rng(0).normal(1.0, 1.0, (200, 4))
    by_report = np.mean([low > 0 or high < 0 for low, high in map(interval, draws)])
    assert told_apart(draws) == by_report


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(("n", "ratio"), [(2, 1.0), (3, 2.0), (5, 0.3), (5, 1.7), (30, 0.5), (5, 12.0)])
def test_power_is_the_integral_over_the_estimated_sd(n: int, ratio: float, alpha: float) -> None:
    """Given s the mean is normal and beyond ± t s / √n by a normal's tails; s is √(χ² / (n − 1)) σ."""
    critical, shift = stats.t.isf(alpha / 2, n - 1), ratio * math.sqrt(n)

    def beyond(s: float) -> float:
        density = 2 * s * (n - 1) * stats.chi2.pdf(s * s * (n - 1), n - 1)
        return density * (stats.norm.sf(critical * s - shift) + stats.norm.cdf(-critical * s - shift))

    expected = integrate.quad(beyond, 0, 12, epsabs=1e-10, limit=400)[0]
    assert power_of_paired_differences(3 * ratio, 3.0, n, alpha) == pytest.approx(expected, abs=1e-7)
    assert power_of_paired_differences(-3 * ratio, 3.0, n, alpha) == pytest.approx(expected, abs=1e-7)


def test_without_a_difference_the_power_is_the_error_rate() -> None:
    assert power_of_paired_differences(0.0, 1.0, 5) == pytest.approx(0.05)


def test_more_seeds_and_less_scatter_tell_smaller_differences() -> None:
    by_seeds = [minimum_detectable_difference(1.0, n) for n in range(3, 40)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert minimum_detectable_difference(3.0, 5) == pytest.approx(3 * minimum_detectable_difference(1.0, 5))
    assert minimum_detectable_difference(0.0, 5) == 0.0
    # Of many seeds it is the normal's.
    normal = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    assert minimum_detectable_difference(1.0, 10_000) * 100 == pytest.approx(normal, rel=1e-3)


def test_where_there_is_no_interval_nothing_is_detectable() -> None:
    assert math.isnan(minimum_detectable_difference(1.0, 2))
    assert math.isnan(minimum_detectable_difference(math.nan, 5))
    assert all(map(math.isnan, detectable(1.0, 2)[1:]))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_intervals_from_data_cover_the_true_one_in_95_percent(n: int) -> None:
    truth = minimum_detectable_difference(2.0, n)
    draws = np.random.default_rng(n).normal(0.4, 2.0, (2000, n))
    found = [detectable(float(row.std(ddof=1)), n) for row in draws]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 2000))
    assert all(one.low < one.difference < one.high for one in found)


def test_the_reach_of_an_interval_from_five_seeds_is_what_the_docstring_says() -> None:
    one = detectable(3.0, 5)
    assert one.low / one.difference == pytest.approx(0.6, abs=0.05)
    assert one.high / one.difference == pytest.approx(2.9, abs=0.05)


def test_a_plan_has_the_sd_of_all_its_arms() -> None:
    rng = np.random.default_rng(0)
    arms = [rng.normal(mean, 2.0, n) for mean, n in ((0.0, 5), (3.0, 9), (-1.0, 4))]
    squares = sum(((arm - arm.mean()) ** 2).sum() for arm in arms)
    found = pooled_sd([arm.std(ddof=1) for arm in arms] + [math.nan], [len(arm) for arm in arms] + [1])
    assert found == pytest.approx(math.sqrt(squares / (4 + 8 + 3)))
    assert math.isnan(pooled_sd([math.nan], [1]))


def test_the_sentence_says_seeds_and_points() -> None:
    difference = minimum_detectable_difference(1.25, 5)
    assert difference == pytest.approx(2.1, abs=0.1)
    assert detectable_sentence(2.14, 5, "bbox_mAP") == (
        "with 5 seeds this plan can tell differences of 2.1 bbox_mAP"
    )
    assert "3 seeds are needed" in detectable_sentence(math.nan, 1, "mIoU")
