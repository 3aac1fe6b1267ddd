"""The landscape of a search: what is known of it where it was measured, and how the rest is guessed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import qmc

from wrs_mm.bench.statistics.landscape import MIN_TRAINED, Landscape, landscape

POINTS = (np.arange(16) + 0.5)[:, None] / 16
CELLS = (np.arange(128) + 0.5) / 128
BUMP = 50 * np.exp(-0.5 * ((POINTS[:, 0] - 0.6) / 0.3) ** 2)


def found(tune: np.ndarray, finals: list[float], best: int | None = None, **options: int) -> Landscape:
    """From trials that measure the same on both splits."""
    chosen = int(np.nanargmax(tune)) if best is None else best
    made = landscape(POINTS, list(tune), list(tune), chosen, finals, **options)
    assert made is not None
    return made


def test_without_noise_functions_pass_through_what_was_measured() -> None:
    made = found(BUMP, [BUMP.max() - 1e-4, BUMP.max(), BUMP.max() + 1e-4])
    at_points = np.array([np.interp(POINTS[:, 0], CELLS, row) for row in made.metric])
    assert np.abs(at_points - BUMP).max() < 0.5
    truth = 50 * np.exp(-0.5 * ((CELLS - 0.6) / 0.3) ** 2)
    assert np.abs(np.median(made.metric, axis=0) - truth).max() < 0.5
    # Between the points less is known than at them.
    spread = made.metric.std(0)
    assert spread[0] > 2 * spread[np.abs(CELLS - POINTS[8]).argmin()]


def test_beside_a_cliff_a_plateau_has_no_hills() -> None:
    """Two settings, flat until their product is too large, as lr and weight decay."""
    points = qmc.Sobol(2, scramble=True, rng=np.random.default_rng(0)).random(16)
    values = 60 / (1 + np.exp((points.sum(1) - 1.2) / 0.06))
    best = int(values.argmax())
    made = landscape(points, list(values), list(values), best, [values[best] + off for off in (-0.3, 0, 0.3)])
    assert made is not None
    assert np.quantile(made.metric.max(1), 0.975) < 63


def test_noise_is_what_the_final_runs_show_and_more_seeds_of_a_trial_have_less() -> None:
    finals = [BUMP.max() + offset for offset in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    noisy = BUMP + np.random.default_rng(0).normal(0, 1.6, 16)
    made = found(noisy, finals)
    assert 1 < np.median(made.seed_sd) < 2.5
    assert made.metric.std(0).mean() > 0.3
    assert np.median(found(noisy, finals, seeds=4).seed_sd) < np.median(made.seed_sd)


def test_the_chosen_settings_are_as_good_as_their_final_runs() -> None:
    """A lucky trial does not make them better."""
    lucky = BUMP.copy()
    lucky[9] += 6
    rng = np.random.default_rng(1)
    made = found(lucky, list(BUMP[9] + rng.normal(0, 1.5, 20)), best=9)
    assert np.median(made.at_best) == pytest.approx(BUMP[9], abs=1.2)


def test_the_border_of_divergence_lies_anywhere_between_two_trials() -> None:
    tune = np.where(POINTS[:, 0] > 0.7, math.nan, BUMP)
    trained, diverged = POINTS[10, 0], POINTS[11, 0]
    made = found(tune, [BUMP.max() + offset for offset in (-0.1, 0.0, 0.1)])
    assert made.trains[:, trained >= CELLS].all()
    assert not made.trains[:, diverged <= CELLS].any()
    border = made.trains.mean(1)
    assert border.mean() == pytest.approx((trained + diverged) / 2, abs=4 * (1 / 16) / math.sqrt(12 * 512))
    assert np.ptp(border) == pytest.approx(1 / 16, abs=2 / 128)


def test_what_a_split_has_of_its_own_is_told_from_what_both_share() -> None:
    rng = np.random.default_rng(0)
    n = 50
    points = rng.random((n, 1))
    shared = 50 * np.exp(-0.5 * ((points[:, 0] - 0.6) / 0.3) ** 2) + rng.normal(0, 1, n)
    # Tune is harder, by points and by a factor.
    tune, test = 0.9 * (shared + rng.normal(0, 0.5, n)) - 3, shared + rng.normal(0, 0.5, n)
    made = landscape(points, list(tune), list(test), 0, [test[0], 1 + test[0], test[0] - 1])
    assert made is not None
    assert made.split_sd == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(2 * n))


def test_equal_trials_and_equal_finals_are_no_mistake() -> None:
    made = found(np.full(16, 40.0), [40.0, 40.0, 40.0], best=0)
    assert made.metric == pytest.approx(np.full(made.metric.shape, 40.0), abs=0.1)


def test_two_settings_have_a_length_each() -> None:
    """Where one of two settings does not matter, nothing depends on it."""
    rng = np.random.default_rng(0)
    points = rng.random((32, 2))
    test = 50 - 60 * (points[:, 0] - 0.5) ** 2
    best = int(test.argmax())
    made = landscape(points, list(test), list(test), best, [test[best] + d for d in (-0.1, 0, 0.1)])
    assert made is not None
    assert made.metric.shape[1] == 512
    near = made.metric >= 0.98 * made.at_best[:, None]
    assert np.median(near.mean(1)) == pytest.approx(2 * math.sqrt(1 / 60), abs=0.03)


def test_nothing_is_guessed_from_too_little() -> None:
    tune = list(BUMP)
    few = [math.nan] * (16 - MIN_TRAINED + 1) + tune[-MIN_TRAINED + 1 :]
    assert landscape(POINTS, few, few, 15, [1.0, 2.0, 3.0]) is None
    assert landscape(POINTS, tune, tune, 15, [1.0, 2.0]) is None
    assert landscape(np.empty((16, 0)), tune, tune, 15, [1.0, 2.0, 3.0]) is None


def test_the_same_trials_give_the_same_landscape() -> None:
    finals = [49.0, 50.0, 51.0]
    one, other = found(BUMP, finals), found(BUMP, finals)
    assert np.array_equal(one.metric, other.metric)
    assert not np.array_equal(one.metric, found(BUMP, finals, seed=1).metric)
