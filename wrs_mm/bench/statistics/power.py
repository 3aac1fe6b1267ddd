"""How small a difference a plan can tell, from the scatter of its paired differences and its number of seeds.

A comparison calls an arm better or worse where Student's interval for the mean of n paired differences
leaves out 0 (:mod:`wrs_mm.bench.statistics.over_seeds`), which is the two-sided t test. If the true
difference is δ and the differences have the standard deviation σ, its statistic is noncentral t with n − 1
degrees of freedom and noncentrality δ √n / σ, so that (Cohen, «Statistical Power Analysis for the Behavioral
Sciences», 1988, chapter 2)

    power(δ) = P(T > t) + P(T < −t),    t the (1 − α / 2) quantile of the central t.

The **minimum detectable difference** is the δ at which the power is 0.8. It says what a plan would have seen:
a smaller difference may be real and stay «not told apart». It is about seeds, on the images as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from scipy import stats
from scipy.optimize import brentq

from wrs_mm.bench.statistics.over_seeds import MIN_PAIRS
from wrs_mm.values import several

POWER = 0.8
"""How often a difference of the size that counts as detectable is detected."""


def power_of_paired_differences(difference: float, sd: float, n: int, alpha: float = 0.05) -> float:
    """How probable it is that a true difference is told from 0.

    Args:
        difference: The true mean of the paired differences.
        sd: Their true standard deviation; positive.
        n: How many there are: seeds that both arms share; at least 2.
        alpha: 1 − the confidence of the interval.
    """
    return _power(abs(difference) * math.sqrt(n) / sd, n - 1, alpha)


def minimum_detectable_difference(sd: float, n: int, power: float = POWER, alpha: float = 0.05) -> float:
    """The smallest true difference that is told from 0 with a given power.

    Args:
        sd: Standard deviation of the paired differences. Of arms whose seeds have nothing in common it is √2
            times that of an arm; pairing makes it smaller where a seed is good or bad for both.
        n: How many differences: seeds that both arms share.
        power: How often it is to be detected; between alpha and 1.
        alpha: 1 − the confidence of the interval.

    Returns:
        In the unit of ``sd``, to which it is proportional. NaN where there is no interval: below
        :data:`~wrs_mm.bench.statistics.over_seeds.MIN_PAIRS`, or without ``sd``.
    """
    if n < MIN_PAIRS or math.isnan(sd):
        return math.nan
    return _detectable_noncentrality(n - 1, power, alpha) * sd / math.sqrt(n)


@cache
def _detectable_noncentrality(freedom: int, power: float, alpha: float) -> float:
    """The noncentrality at which the test has a power."""
    high = 1.0
    while _power(high, freedom, alpha) < power:
        high *= 2
    return float(brentq(lambda value: _power(value, freedom, alpha) - power, 0.0, high, xtol=1e-10))


def _power(noncentrality: float, freedom: int, alpha: float) -> float:
    """Probability that the noncentral t statistic lies beyond the critical value on either side."""
    critical = stats.t.isf(alpha / 2, freedom)
    above = stats.nct.sf(critical, freedom, noncentrality)
    # By symmetry; far out scipy's own lower tail is NaN, and the probability 0.
    below = stats.nct.sf(critical, freedom, -noncentrality)
    return float(above) + (0.0 if math.isnan(below) else float(below))


class Detectable(NamedTuple):
    """What a comparison could have told apart.

    Attributes:
        pairs: Paired differences.
        difference: The minimum detectable one; NaN from too few pairs.
        low: Lower end of its 95 % interval, which comes from the sd being an estimate.
        high: Upper end.
    """

    pairs: int
    difference: float
    low: float
    high: float


def detectable(sd: float, n: int, power: float = POWER, alpha: float = 0.05) -> Detectable:
    """The minimum detectable difference, from data.

    It is proportional to σ, of which the sample's s is an estimate: (n − 1) s² / σ² is χ² with n − 1
    degrees of freedom, so the interval is exact for normal differences. From 5 seeds it reaches from 0.6
    to 2.9 times the estimate.

    Args:
        sd: Standard deviation (n − 1) of paired differences that were measured: ``difference_sd`` of a
            summary.
        n: How many they are: ``pairs``.
        power: See :func:`minimum_detectable_difference`.
        alpha: Likewise.
    """
    value = minimum_detectable_difference(sd, n, power, alpha)
    if math.isnan(value):
        return Detectable(n, math.nan, math.nan, math.nan)
    low, high = (value * math.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (0.975, 0.025))
    return Detectable(n, value, low, high)


def pooled_sd(sds: Sequence[float], counts: Sequence[int]) -> float:
    """One standard deviation for a whole plan: the root of the mean variance, weighted by degrees of freedom.

    Args:
        sds: Of the paired differences of each arm (``difference_sd`` of a summary); NaN are left out.
        counts: How many differences each is from.

    Returns:
        NaN where no arm has one.
    """
    known = [(sd, n - 1) for sd, n in zip(sds, counts, strict=True) if not math.isnan(sd)]
    freedom = sum(weight for _, weight in known)
    return math.sqrt(sum(weight * sd**2 for sd, weight in known) / freedom) if freedom else math.nan


def detectable_sentence(difference: float, seeds: int, metric: str, subject: str = "this plan") -> str:
    """The minimum detectable difference in words.

    Args:
        difference: From :func:`minimum_detectable_difference`.
        seeds: Of each arm.
        metric: Its name, such as ``bbox_mAP``.
        subject: What tells differences apart.
    """
    if math.isnan(difference):
        return f"with {several(seeds, 'seed')} {subject} can tell no difference; {MIN_PAIRS} seeds are needed"
    return f"with {several(seeds, 'seed')} {subject} can tell differences of {difference:.1f} {metric}"
