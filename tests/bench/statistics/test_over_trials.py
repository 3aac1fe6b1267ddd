"""Best of k against an enumeration of all subsets, and its bias against simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from wrs_mm.bench.statistics.over_trials import (
    NOTHING,
    best_of_k,
    best_of_k_drawn,
    weights_of_ranks,
    worst_first,
)

SEARCHES = 20_000


def searches(seed: int, trials: int, noise: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Metrics on tune and test of many random searches over a bump whose right end diverges.

    Returns:
        Two arrays, ``(SEARCHES, trials)``; tune is −∞ and test NOTHING where a trial diverged.
    """
    rng = np.random.default_rng(seed)
    place = rng.random((SEARCHES, trials))
    metric = 50 * np.exp(-0.5 * ((place - 0.6) / 0.2) ** 2) + rng.normal(0, noise, place.shape)
    tune = np.where(place > 0.85, -np.inf, metric - 2 + rng.normal(0, noise, place.shape))
    test = np.where(place > 0.85, NOTHING, metric + rng.normal(0, noise, place.shape))
    return tune, test


def found(tune: np.ndarray, test: np.ndarray) -> np.ndarray:
    """What each search finds: the test metric of its best trial on tune."""
    return np.take_along_axis(test, tune.argmax(1)[:, None], 1)[:, 0]


def by_tune(tune: np.ndarray, test: np.ndarray) -> np.ndarray:
    return np.take_along_axis(test, np.argsort(tune, axis=1), 1)


def with_replacement(n: int, k: int) -> np.ndarray:
    """The weights of Dodge et al."""
    return np.diff((np.arange(n + 1) / n) ** k)


@pytest.mark.parametrize("seed", range(3))
def test_best_of_k_is_the_mean_over_all_subsets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 7
    # Few values, so that trials tie; two diverge.
    tune, test = rng.integers(0, 3, n).astype(float), rng.random(n)
    rates = rng.choice([0.1, 0.2, 0.3], n)
    tune[[1, 4]] = math.nan
    for one in best_of_k(tune, test, rates):
        chosen = []
        for subset in itertools.combinations(range(n), one.k):
            sound = [i for i in subset if not math.isnan(tune[i])]
            chosen.append(min(sound, key=lambda i: (-tune[i], rates[i], i)) if sound else None)
        values = [NOTHING if i is None else test[i] for i in chosen]
        assert one.metric == pytest.approx(np.mean(values), abs=1e-12)
        assert one.none == pytest.approx(np.mean([i is None for i in chosen]), abs=1e-12)


def test_one_trial_is_the_mean_and_all_of_them_the_chosen_one() -> None:
    found = best_of_k([1.0, 3.0, 2.0], [10.0, 20.0, 60.0])
    assert [one.k for one in found] == [1, 2, 3]
    assert found[0].metric == pytest.approx(30.0)
    # Chosen on tune: another trial is better on test, and does not count.
    assert found[2].metric == 20.0


def test_of_equal_trials_the_one_with_the_smaller_lr_is_chosen_and_a_diverged_one_never() -> None:
    assert list(worst_first([5.0, 5.0, math.nan, 5.0], [0.3, 0.1, 0.01, 0.2])) == [2, 0, 3, 1]
    assert list(worst_first([5.0, 5.0])) == [1, 0]


def test_a_search_that_always_diverges_finds_nothing_for_sure() -> None:
    assert best_of_k([math.nan] * 2, [math.nan] * 2) == [(1, NOTHING, 1.0), (2, NOTHING, 1.0)]


def test_a_trial_without_a_test_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="none on test"):
        best_of_k([1.0, 2.0], [1.0, math.nan])


def test_weights_sum_to_one_also_for_many_trials() -> None:
    assert np.abs(weights_of_ranks(2000).sum(1) - 1).max() < 1e-12


@pytest.mark.parametrize("k", [1, 4, 8, 12, 16])
def test_best_of_k_is_unbiased_and_that_of_draws_with_replacement_is_too_low(k: int) -> None:
    """From searches of 16 trials the estimate for k; the truth from other searches of k trials."""
    n = 16
    estimates = by_tune(*searches(1, n)) @ weights_of_ranks(n)[k - 1]
    truth = found(*searches(2, k))
    error = math.sqrt((estimates.var() + truth.var()) / SEARCHES)
    assert abs(estimates.mean() - truth.mean()) < 4 * error
    biased = by_tune(*searches(1, n)) @ with_replacement(n, k)
    if k > 1:
        assert biased.mean() - truth.mean() < -5 * error


def test_draws_with_replacement_are_one_point_too_low_of_16_trials_and_half_as_much_of_32() -> None:
    """In points of mAP; not at k = 1, where nothing is drawn twice."""
    bias = {}
    for n in (16, 32):
        ranked = by_tune(*searches(1, n))
        for k in (1, 4, n):
            bias[n, k] = float((ranked @ (with_replacement(n, k) - weights_of_ranks(n)[k - 1])).mean())
    assert bias[16, 1] == pytest.approx(0, abs=1e-9)
    assert -1.5 < bias[16, 4] < -1
    assert -1.5 < bias[16, 16] < -1
    assert bias[32, 4] / bias[16, 4] == pytest.approx(0.5, abs=0.05)
    assert bias[32, 32] / bias[16, 16] == pytest.approx(0.5, abs=0.1)


def test_the_metric_on_tune_of_the_best_of_many_is_too_high_and_that_on_test_is_not() -> None:
    """The reason for two splits: with equal settings the best on tune is lucky there."""
    rng = np.random.default_rng(0)
    tune, test = rng.normal(40, 1, (2, SEARCHES, 16))
    error = 4 / math.sqrt(SEARCHES)
    assert by_tune(tune, tune)[:, -1].mean() > 41
    assert found(tune, test).mean() == pytest.approx(40, abs=error)


def test_best_of_k_draws_from_a_finely_divided_space_is_what_searches_find() -> None:
    rng = np.random.default_rng(3)
    tune = rng.normal(0, 1, 20_000)
    test = 50 + tune
    drawn = best_of_k_drawn(tune, test, [1, 5])
    picks = rng.integers(0, len(tune), (SEARCHES, 5))
    expected = found(tune[picks], test[picks])
    assert drawn[1] == pytest.approx(expected.mean(), abs=4 * expected.std() / math.sqrt(SEARCHES))
    assert drawn[0] == pytest.approx(test.mean())
