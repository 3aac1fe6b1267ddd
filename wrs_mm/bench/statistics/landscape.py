"""The metric of an arm over its search space, as far as its trials and final runs say what it is.

What is between the trials has to come from somewhere; here it comes from the assumption that the expected
metric is a smooth function of the settings on the scale that they are searched on. That is a Gaussian
process (Rasmussen and Williams, «Gaussian Processes for Machine Learning», 2006, algorithm 2.1): Matérn 5/2
with a length for each setting, a constant mean, and independent normal noise of a run's seed. Metrics fall
off steeply where training fails and hardly rise where it goes well, which no such process does; so the
process is of a logarithm of the distance to what was best, z = −log(1 + (best − y) / κ), after Snelson et
al. («Warped Gaussian Processes», 2003). A small κ is a plateau with cliffs, a large one leaves the metric
as it is.

Nothing is fitted: lengths, amplitude and κ are drawn from broad priors, the noise from its posterior given
the final runs' standard deviation s with ν degrees of freedom, σ² = ν s² / χ²_ν, and each draw is weighted
by the likelihood of the trials. Functions are then drawn from what remains, and whatever is asked of the
landscape is asked of each of them: its spread is the answer's interval.

A trial that diverged has no metric. It says that training diverges at its settings, and the border to the
trials that trained lies anywhere between, at the same part of the way wherever in the space.

The points need not be random: the answer is about the function, given where it was measured. Quasi-random
trials, whose design varies next to nothing, therefore give intervals several times as narrow as methods
that take trials for independent draws (bootstrap, jackknife), and these cover the truth as often as they say.
That was simulated for one and two settings, 16 trials and 5 final runs (docs/statistics.md); below
:data:`MIN_TRAINED` trials that trained there is no landscape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from wrs_mm.bench.statistics.over_seeds import MIN_PAIRS

MIN_TRAINED = 6
"""Trials that trained from which on there is a landscape."""

_LENGTH, _LENGTH_SPREAD = 0.35, 0.7
"""Median of a setting's length, as a part of its range, and the standard deviation of its logarithm."""

_AMPLITUDE_SPREAD = 0.6
"""Standard deviation of the logarithm of the amplitude, whose median is the trials' own spread."""

_WARP, _WARP_SPREAD, _NOISES = 3.0, 1.5, 3.0
"""Median of κ in spreads of the trials, standard deviation of its logarithm, and its least in noises."""

_MEAN_VARIANCE = 4.0
"""Variance of the constant mean, in squared spreads of the trials."""

_PRIOR_DRAWS, _KERNELS, _FUNCTIONS = 1024, 64, 8
"""Lengths, amplitudes and noises that are weighed; those that are kept; functions drawn of each."""


@dataclass(frozen=True)
class Landscape:
    """Functions that could be the arm's metric, on cells that divide its search space into equal parts.

    Attributes:
        metric: Expected metric on test, over seeds: ``(functions, cells)``, percent.
        trains: Whether training does not diverge, ``(functions, cells)``.
        at_best: The metric at the settings that were chosen, ``(functions,)``.
        seed_sd: Standard deviation of a trial's score on test by its seeds, ``(functions,)``.
        split_sd: The part of it that another split, of the same training, does not share.
    """

    metric: np.ndarray
    trains: np.ndarray
    at_best: np.ndarray
    seed_sd: np.ndarray
    split_sd: float


def landscape(
    points: ArrayLike,
    tune: Sequence[float],
    test: Sequence[float],
    best: int,
    finals: Sequence[float],
    seeds: int = 1,
    seed: int = 0,
) -> Landscape | None:
    """What trials and final runs say about an arm's metric over its search space.

    Args:
        points: Where in the search space the trials are, each setting from 0 to 1 on the scale on which it is
            drawn: ``(n, d)``.
        tune: Their metrics on tune, NaN where a trial diverged.
        test: Their metrics on test, in the same order.
        best: The trial whose settings were chosen.
        finals: Metrics on test of the final runs at these settings, one a seed.
        seeds: Of each trial; its metrics are means over them.
        seed: Of the functions' random numbers.

    Returns:
        None where it would be guessed: fewer than :data:`MIN_TRAINED` trials trained, there is nothing to
        tune, or there are fewer than :data:`~wrs_mm.bench.statistics.over_seeds.MIN_PAIRS` final runs.
    """
    where = np.asarray(points, dtype=float)
    on_tune, on_test = np.asarray(tune, dtype=float), np.asarray(test, dtype=float)
    trained = ~np.isnan(on_tune)
    if trained.sum() < MIN_TRAINED or where.shape[1] == 0 or len(finals) < MIN_PAIRS:
        return None
    rng = np.random.default_rng(seed)
    cells = _cells(where.shape[1], rng)
    # Of matrices as small as these, threads on a busy machine only wait for each other.
    with threadpool_limits(1, "blas"):
        # The final runs are one more measurement at their settings, the mean of several.
        metric, at_best, noise = _functions(
            np.concatenate([where[trained], where[[best]]]),
            np.append(on_test[trained], np.mean(finals)),
            np.append(np.full(trained.sum(), float(seeds)), len(finals)),
            float(np.std(finals, ddof=1)),
            len(finals) - 1,
            cells,
            rng,
        )
    return Landscape(
        metric=metric,
        trains=_trains(where, trained, cells, len(metric), rng),
        at_best=at_best,
        seed_sd=noise / math.sqrt(seeds),
        split_sd=_split_sd(on_tune[trained], on_test[trained]),
    )


def _cells(settings: int, rng: np.random.Generator) -> np.ndarray:
    """Points that stand for equal parts of the space: ``(cells, settings)``."""
    if settings == 1:
        return (np.arange(128)[:, None] + 0.5) / 128
    return np.asarray(qmc.Sobol(settings, rng=rng).random_base2(9))


def _functions(
    points: np.ndarray,
    values: np.ndarray,
    repeats: np.ndarray,
    noise_sd: float,
    freedom: int,
    cells: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Functions drawn given values that were measured at points.

    Args:
        points: ``(n, d)``; the last is the chosen one.
        values: Measured there, each the mean of so many repeats.
        repeats: ``(n,)``.
        noise_sd: Standard deviation of one repeat, as it was estimated.
        freedom: Degrees of freedom of that estimate.
        cells: Where functions are wanted.
        rng: Random numbers.

    Returns:
        The functions on the cells, at the chosen point, and the standard deviation of the noise with each.
    """
    best, spread = values.max(), values.std() or 1.0
    lengths, amplitudes, warps, noises = _prior(points.shape[1], noise_sd / spread, freedom, rng)
    # Below the best by so much, in κ; and its logarithm, standardized.
    below = (best - values) / spread / warps[:, None]
    warped = -np.log1p(below)
    centers, spreads = warped.mean(1, keepdims=True), warped.std(1, keepdims=True)
    spreads[spreads == 0] = 1.0
    slopes = 1 / (warps[:, None] * (1 + below) * spreads)
    squares = (points[:, None] - points) ** 2
    covariance = _covariance(squares, lengths, amplitudes)
    diagonal = np.arange(len(points))
    covariance[:, diagonal, diagonal] += (noises[:, None] * slopes) ** 2 / repeats + 1e-6
    factor = np.linalg.cholesky(covariance)
    measured = ((warped - centers) / spreads)[..., None]
    white = np.linalg.solve(factor, measured)[..., 0]
    likelihood = -0.5 * (white**2).sum(1) - np.log(factor[:, diagonal, diagonal]).sum(1)
    # It is of the metric that was measured, not of its logarithm.
    likelihood += np.log(slopes).sum(1)
    weights = np.exp(likelihood - likelihood.max())
    # Systematic resampling: each is kept as often as its weight says, up to one.
    steps = (np.arange(_KERNELS) + rng.random()) / _KERNELS
    kept = np.minimum(np.searchsorted(np.cumsum(weights) / weights.sum(), steps), len(weights) - 1)

    wanted = np.concatenate([cells, points[-1:]])
    among, across = (wanted[:, None] - wanted) ** 2, (points[:, None] - wanted) ** 2
    on_diagonal = np.arange(len(wanted))
    drawn = []
    for index, times in zip(*np.unique(kept, return_counts=True), strict=True):
        kernel = lengths[[index]], amplitudes[[index]]
        explained = np.linalg.solve(factor[index], _covariance(across, *kernel)[0])
        left = _covariance(among, *kernel)[0] - explained.T @ explained
        left[on_diagonal, on_diagonal] += 1e-6 * (1 + amplitudes[index] ** 2)
        normal = rng.standard_normal((times * _FUNCTIONS, len(wanted)))
        functions = explained.T @ white[index] + normal @ np.linalg.cholesky(left).T
        drawn.append(warps[index] * np.expm1(-(centers[index] + spreads[index] * functions)))
    functions = best - spread * np.concatenate(drawn)
    return functions[:, :-1], functions[:, -1], spread * np.repeat(noises[kept], _FUNCTIONS)


def _prior(
    settings: int, noise_sd: float, freedom: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Lengths ``(draws, settings)``; amplitudes, κ and noises ``(draws,)``, in spreads of the values."""
    shares = qmc.Sobol(settings + 3, rng=rng).random(_PRIOR_DRAWS).clip(1e-6, 1 - 1e-6)
    normal = stats.norm.ppf(shares[:, :-1])
    lengths = _LENGTH * np.exp(_LENGTH_SPREAD * normal[:, :settings])
    amplitudes = np.exp(_AMPLITUDE_SPREAD * normal[:, settings])
    noises = noise_sd * np.sqrt(freedom / stats.chi2.ppf(shares[:, -1], freedom))
    # So large that noise stays what it is, nearly normal, on the warped scale.
    warps = np.hypot(_WARP * np.exp(_WARP_SPREAD * normal[:, settings + 1]), _NOISES * noises)
    return lengths, amplitudes, warps, noises


def _covariance(squares: np.ndarray, lengths: np.ndarray, amplitudes: np.ndarray) -> np.ndarray:
    """Of function values at two lists of points: Matérn 5/2 and the constant mean.

    Args:
        squares: Squared differences of the settings of each two points, ``(a, b, d)``.
        lengths: Of the settings, ``(h, d)`` for h kernels at once.
        amplitudes: ``(h,)``.

    Returns:
        ``(h, a, b)``.
    """
    squared = np.einsum("abd,hd->hab", 5 * squares, lengths**-2)
    distance = np.sqrt(squared)
    return _MEAN_VARIANCE + amplitudes[:, None, None] ** 2 * (1 + distance + squared / 3) * np.exp(-distance)


def _trains(
    points: np.ndarray, trained: np.ndarray, cells: np.ndarray, functions: int, rng: np.random.Generator
) -> np.ndarray:
    """Whether training does not diverge, on each cell: ``(functions, cells)``."""
    if trained.all():
        return np.ones((functions, len(cells)), dtype=bool)
    to_trained, to_diverged = (cdist(cells, points[which]) for which in (trained, ~trained))
    apart = cdist(points[trained], points[~trained])
    # −1 at a trial that trained, 1 at the next that diverged, and beyond them further away from 0.
    gap = np.minimum(apart.min(1)[to_trained.argmin(1)], apart.min(0)[to_diverged.argmin(1)])
    between = (to_trained.min(1) - to_diverged.min(1)) / gap
    return between < rng.uniform(-1, 1, (functions, 1))


def _split_sd(tune: np.ndarray, test: np.ndarray) -> float:
    """What the metrics of a training on two splits do not share, on each; in the unit of test.

    One split may be easier than the other, by so many points and by a factor.
    """
    factor = test.std() / tune.std() if tune.std() else 1.0
    return float(np.std(test - factor * tune, ddof=2)) / math.sqrt(2)
