"""Choosing on tune and reporting on test is honest: of 16 equally good settings none is found better.

The simulated world: every setting has the same true metric. A training is good or bad by its seed, on both
splits alike, and a setting is lucky or not on the images of a split, whichever the seed. Compared are the
chosen setting and a baseline, over five seeds that no trial used, as plans do it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from wrs_mm.bench.statistics.over_seeds import interval
from wrs_mm.bench.statistics.over_trials import best_of_k, worst_first

STUDIES, SETTINGS, SEEDS = 8000, 16, 5
BY_SEED, BY_IMAGES, REST = 1.5, 0.7, 0.5
"""Standard deviations: of a seed in both splits, of a setting on one split's images, and of what remains."""


class Studies:
    """Many studies at once.

    Attributes:
        tune: Metrics of the trials, ``(STUDIES, SETTINGS)``, one seed.
        trial_test: The same trials on test.
        finals: Metrics on test over the final seeds, ``(STUDIES, SETTINGS, SEEDS)``.
        baseline: Those of another arm of the same true metric, ``(STUDIES, SEEDS)``.
    """

    def __init__(self, by_images: float) -> None:
        rng = np.random.default_rng(0)
        shape = (STUDIES, SETTINGS)
        lucky = rng.normal(0, by_images, (2, *shape))
        of_seed = rng.normal(0, BY_SEED, shape)
        self.tune, self.trial_test = 40 + of_seed + lucky + rng.normal(0, REST, (2, *shape))
        final_seeds = rng.normal(0, BY_SEED, (STUDIES, 1, SEEDS))
        finals = 40 + final_seeds + rng.normal(0, REST, (*shape, SEEDS))
        self.finals = finals + lucky[1][..., None]
        self.baseline = 40 + final_seeds[:, 0] + rng.normal(0, REST, (STUDIES, SEEDS))

    def differences(self, scores: np.ndarray) -> np.ndarray:
        """Paired by seed, of the setting that is best by scores and the baseline."""
        best = scores.argmax(1)
        return self.finals[np.arange(STUDIES), best] - self.baseline

    def judged(self, scores: np.ndarray) -> tuple[float, float]:
        """How often the chosen setting is called better, and how often worse."""
        differences = self.differences(scores)
        middle = differences.mean(1)
        half = stats.t.ppf(0.975, SEEDS - 1) * differences.std(1, ddof=1) / math.sqrt(SEEDS)
        # It is the interval that reports show.
        assert interval(differences[0]) == pytest.approx((middle[0] - half[0], middle[0] + half[0]))
        return float((middle > half).mean()), float((middle < -half).mean())


def nominal(judged: float) -> bool:
    """Whether it is 2.5 %, to four Monte Carlo standard errors."""
    return abs(judged - 0.025) < 4 * math.sqrt(0.025 * 0.975 / STUDIES)


def test_of_settings_chosen_on_tune_none_is_better_beyond_the_error_rate() -> None:
    """Where images do not favor a setting, so that all that intervals over seeds leave out is 0."""
    studies = Studies(by_images=0.0)
    better, worse = studies.judged(studies.tune)
    assert nominal(better)
    assert nominal(worse)


def test_of_settings_chosen_by_the_very_seeds_that_are_reported_far_too_many_are_better() -> None:
    studies = Studies(by_images=0.0)
    better, worse = studies.judged(studies.finals.mean(-1))
    assert better > 0.1
    assert worse < 0.005


def test_where_images_favor_settings_choosing_on_tune_is_unbiased_and_choosing_on_test_is_not() -> None:
    studies = Studies(BY_IMAGES)
    honest, peeked = (studies.differences(scores).mean(1) for scores in (studies.tune, studies.trial_test))
    error = 4 * honest.std() / math.sqrt(STUDIES)
    assert abs(honest.mean()) < error
    assert peeked.mean() > 5 * error
    # Not told apart as often as it should be: which images there are is what intervals over images are for.
    better, worse = studies.judged(studies.tune)
    assert better == pytest.approx(worse, abs=4 * math.sqrt(2 * better / STUDIES))
    better, worse = studies.judged(studies.trial_test)
    assert better > 4 * worse


def test_more_trials_of_equal_settings_promise_nothing() -> None:
    """The curve of best of k on test stays where it is; on tune it would climb."""
    studies = Studies(by_images=0.0)
    rng = np.random.default_rng(1)
    # Of a trial its own seed is in both splits: only fresh seeds are free of its luck.
    fresh = rng.normal(40, BY_SEED, studies.tune.shape)
    curves = np.array(
        [[one.metric for one in best_of_k(*rows)] for rows in zip(studies.tune[:2000], fresh, strict=False)]
    )
    assert curves.mean(0) == pytest.approx(np.full(SETTINGS, 40.0), abs=4 * BY_SEED / math.sqrt(2000))
    best = [row[worst_first(row)[-1]] for row in studies.tune[:2000]]
    assert np.mean(best) > 42
