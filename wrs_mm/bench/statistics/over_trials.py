"""Over trials: what is to be expected on ``test`` from the best of k trials, the best on ``tune``.

**Estimator.** Of n trials, every k are as good a sample of what k trials would have been as any other k. So
the estimate is the mean, over all subsets of k, of the test metric of the subset's best trial on ``tune``.
With trials sorted by ``tune``, worst first, the one of rank r is the best of C(r − 1, k − 1) of them:

    E_k = Σ_r test_r · C(r − 1, k − 1) / C(n, k)

This is a U-statistic, so of trials whose settings were drawn independently it is unbiased for each k up to n.
Dodge et al., «Show Your Work: Improved Reporting of Experimental Results» (EMNLP 2019) draw the k with
replacement, Σ_r test_r · ((r / n)^k − ((r − 1) / n)^k): at k = n the best trial then has a weight of 0.64 and
not 1, and the estimate is too low (Tang et al., «Showing Your Work Doesn't Always Work», ACL 2020). The tests
measure both. Quasi-random trials cover the space more evenly than independent ones; of those, E_k is the
best of a random k of the trials made, and somewhat better than k settings drawn at random would be.

**Intervals** are for what k settings drawn at random from the search space would find, from a model of the
metric between the trials (:mod:`wrs_mm.bench.statistics.landscape`), with an estimate of its own. Resampling
the trials gives none that hold: a bootstrap's are too short for k near n, and where trials are quasi-random
they are many times too wide for small k (docs/statistics.md has both).

**Diverged trials** count: they are never chosen while another is there, and a budget that was spent on
nothing else found nothing, which counts as a metric of 0. How probable that is stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from wrs_mm.bench.statistics.landscape import Landscape

NOTHING = 0.0
"""Metric of a search in which every trial diverged: in percent, the lowest there is."""


class BestOfK(NamedTuple):
    """What is to be expected from k trials.

    Attributes:
        k: How many.
        metric: Expected test metric of the one that is best on tune.
        none: Probability that all of them diverge.
    """

    k: int
    metric: float
    none: float


def worst_first(tune: Sequence[float], learning_rates: Sequence[float] | None = None) -> np.ndarray:
    """The order in which trials are chosen, the chosen one last.

    Args:
        tune: Their metrics on tune, higher is better; NaN is a trial that diverged.
        learning_rates: Of equal trials, the one with the smaller is chosen; then the earlier.

    Returns:
        Indices; ``(n,)`` int.
    """
    scores = np.asarray(tune, dtype=float)
    rates = np.zeros(len(scores)) if learning_rates is None else np.asarray(learning_rates, dtype=float)
    return np.lexsort((-np.arange(len(scores)), -rates, np.where(np.isnan(scores), -math.inf, scores)))


def weights_of_ranks(n: int) -> np.ndarray:
    """How often each of n trials is the best of k, over all subsets.

    Returns:
        ``(n, n)``: of k − 1 and the trial's place in :func:`worst_first`; each row sums to 1.
    """
    # All k are among the r lowest with C(r, k) / C(n, k) = Π_{i < k} (r − i) / (n − i): no large numbers.
    drawn, ranks = np.arange(n)[:, None], np.arange(n + 1)
    among = np.cumprod(np.maximum(ranks - drawn, 0) / (n - drawn), axis=0)
    return np.diff(among, axis=1)


def best_of_k(
    tune: Sequence[float], test: Sequence[float], learning_rates: Sequence[float] | None = None
) -> list[BestOfK]:
    """The expected test metric of the best of k trials on tune, for k = 1 … n.

    Args:
        tune: Metrics on tune, one a trial, NaN where it diverged.
        test: Metrics on test, in the same order; not looked at where the trial diverged.
        learning_rates: Settle ties; see :func:`worst_first`.

    Raises:
        ValueError: A trial that has a metric on tune has none on test.
    """
    order = worst_first(tune, learning_rates)
    diverged = np.isnan(np.asarray(tune, dtype=float))
    values = np.where(diverged, NOTHING, np.asarray(test, dtype=float))
    if np.isnan(values).any():
        raise ValueError("a trial has a metric on tune and none on test")
    weights = weights_of_ranks(len(order))
    metrics, none = weights @ values[order], weights @ diverged[order]
    return [BestOfK(k, float(m), float(p)) for k, (m, p) in enumerate(zip(metrics, none, strict=True), 1)]


def best_of_k_drawn(tune: ArrayLike, test: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    """The same, of k independent draws from settings that stand for equal parts of a whole search space.

    Args:
        tune: ``(..., g)`` for g settings, −∞ where training diverges.
        test: ``(..., g)``, finite.
        ks: The numbers of draws.

    Returns:
        ``(..., len(ks))``.
    """
    order = np.argsort(tune, axis=-1, kind="stable")
    sorted_test = np.take_along_axis(np.asarray(test, dtype=float), order, axis=-1)
    below = np.linspace(0, 1, sorted_test.shape[-1] + 1)
    return np.stack([sorted_test @ np.diff(below**k) for k in ks], axis=-1)


class Expected(NamedTuple):
    """What k settings drawn at random are expected to find.

    Attributes:
        k: How many.
        metric: Expected test metric of the one that is best on tune; estimate.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    k: int
    metric: float
    low: float
    high: float


def expected_best(
    found: Landscape, ks: Sequence[int], confidence: float = 0.95, seed: int = 0
) -> list[Expected]:
    """The expected test metric of the best of k random settings on tune, with intervals.

    Args:
        found: What is known of the arm's metric.
        ks: Numbers of settings, up to that of the trials made.
        confidence: Of the intervals.
        seed: Of the trainings' random numbers.
    """
    rng = np.random.default_rng(seed)
    # A seed is good or bad on both splits; the choice sees that, and what tune has of its own.
    shared = np.sqrt(np.maximum(found.seed_sd**2 - found.split_sd**2, 0))[:, None]
    test = found.metric + shared * rng.standard_normal(found.metric.shape)
    tune = test + found.split_sd * rng.standard_normal(test.shape)
    curves = best_of_k_drawn(
        np.where(found.trains, tune, -math.inf), np.where(found.trains, test, NOTHING), ks
    )
    tail = (1 - confidence) / 2
    low, metric, high = np.quantile(curves, [tail, 0.5, 1 - tail], axis=0)
    return [Expected(k, *map(float, row)) for k, *row in zip(ks, metric, low, high, strict=True)]
