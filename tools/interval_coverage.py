"""How often the intervals of tuning contain the truth, in made-up searches of which it is known.

Each search has a landscape of its own, drawn from a family; its trials are where those of a plan would be.
The lines that it prints are the table of docs/statistics.md::

    python tools/interval_coverage.py --searches 150
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from wrs_mm.bench.statistics.landscape import landscape
from wrs_mm.bench.statistics.over_trials import (
    NOTHING,
    best_of_k_drawn,
    expected_best,
    weights_of_ranks,
    worst_first,
)
from wrs_mm.bench.statistics.robustness import WITHIN, shares_near_best

Metric = Callable[[np.ndarray], np.ndarray]
"""From settings ``(..., d)`` to the expected metric ``(...)``, 0 where training diverges."""

PEAK, FINALS = 50.0, 5
SHARED, SPLIT = 0.8, 0.6
"""Of a training's noise, the part that both splits share and the part that each has of its own."""


def _bell(distance: np.ndarray) -> np.ndarray:
    return PEAK * np.exp(-0.5 * distance**2)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def bump(rng: np.random.Generator) -> Metric:
    """One setting, a bell."""
    at, width = rng.uniform(0.2, 0.9), _log_uniform(rng, 0.12, 0.5)
    return lambda x: _bell((x[..., 0] - at) / width)


def lopsided(rng: np.random.Generator) -> Metric:
    """One setting, slow to rise and quick to fall."""
    at, left, right = rng.uniform(0.2, 0.9), _log_uniform(rng, 0.15, 0.6), _log_uniform(rng, 0.05, 0.2)
    return lambda x: _bell((x[..., 0] - at) / np.where(x[..., 0] < at, left, right))


def plateau(rng: np.random.Generator) -> Metric:
    """One setting, flat between two edges."""
    left, right = rng.uniform(0.05, 0.35), rng.uniform(0.6, 0.95)
    rise, fall = _log_uniform(rng, 0.03, 0.15), _log_uniform(rng, 0.03, 0.15)

    def metric(x: np.ndarray) -> np.ndarray:
        edges = (1 + np.exp((left - x[..., 0]) / rise)) * (1 + np.exp((x[..., 0] - right) / fall))
        return PEAK / edges

    return metric


def cliff(rng: np.random.Generator) -> Metric:
    """One setting, a broad bell, and training diverges at its upper end."""
    at, width, edge = rng.uniform(0.2, 0.9), rng.uniform(0.5, 1.2), rng.uniform(0.7, 0.95)
    return lambda x: np.where(x[..., 0] > edge, NOTHING, _bell((x[..., 0] - at) / width))


def bump_of_two(rng: np.random.Generator) -> Metric:
    """Two settings, a bell along both."""
    at = rng.uniform(0.2, 0.8, 2)
    width = np.array([_log_uniform(rng, 0.15, 0.6), _log_uniform(rng, 0.15, 0.6)])
    return lambda x: _bell(np.linalg.norm((x - at) / width, axis=-1))


def ridge(rng: np.random.Generator) -> Metric:
    """Two settings, of which the product matters more than each (as lr and weight decay)."""
    at = rng.uniform(0.3, 0.7, 2)
    across, along = _log_uniform(rng, 0.15, 0.6), 2 * _log_uniform(rng, 0.15, 0.6)

    def metric(x: np.ndarray) -> np.ndarray:
        left = x - at
        return _bell(np.hypot(left.sum(-1) / across, left[..., 1] / along))

    return metric


def shoulder(rng: np.random.Generator) -> Metric:
    """Two settings, flat from some value of the first on, until their product is too large."""
    start, edge = rng.uniform(0.0, 0.35), rng.uniform(1.0, 1.5)
    rise, fall = _log_uniform(rng, 0.05, 0.25), _log_uniform(rng, 0.03, 0.15)

    def metric(x: np.ndarray) -> np.ndarray:
        return PEAK / ((1 + np.exp((start - x[..., 0]) / rise)) * (1 + np.exp((x.sum(-1) - edge) / fall)))

    return metric


FAMILIES: dict[str, tuple[int, Callable[[np.random.Generator], Metric]]] = {
    "bump": (1, bump),
    "lopsided": (1, lopsided),
    "plateau": (1, plateau),
    "cliff": (1, cliff),
    "bump of two": (2, bump_of_two),
    "ridge of two": (2, ridge),
    "shoulder of two": (2, shoulder),
}


@dataclass(frozen=True)
class Search:
    """An arm's trials and final runs.

    Attributes:
        points: ``(n, d)``.
        tune: ``(n,)``, NaN where a trial diverged.
        test: ``(n,)``.
        best: The chosen trial.
        finals: On test, at its settings.
    """

    points: np.ndarray
    tune: np.ndarray
    test: np.ndarray
    best: int
    finals: np.ndarray


def measure(metric: np.ndarray, sd: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A training at each: its metric on tune, NaN where it diverged, and on test. Test is 2 points easier."""
    diverged = metric == NOTHING
    both = metric + SHARED * sd * rng.standard_normal(metric.shape)
    tune, test = (both + SPLIT * sd * rng.standard_normal(metric.shape) for _ in range(2))
    return np.where(diverged, np.nan, tune - 2), np.where(diverged, np.nan, test)


def points(trials: int, settings: int, independent: bool, rng: np.random.Generator) -> np.ndarray:
    """Where trials are; those of a plan are always the same."""
    if independent:
        return rng.random((trials, settings))
    sequence = qmc.Sobol(8, scramble=True, seed=np.random.default_rng(0))
    return np.asarray(sequence.random_base2(math.ceil(math.log2(trials)))[:trials, :settings])


def search(metric: Metric, where: np.ndarray, sd: float, rng: np.random.Generator) -> Search:
    """Trials at points, and final runs at the best."""
    tune, test = measure(metric(where), sd, rng)
    best = int(worst_first(tune)[-1])
    finals = measure(np.repeat(metric(where[best]), FINALS), sd, rng)[1]
    return Search(where, tune, test, best, finals)


def truth(metric: Metric, one: Search, sd: float, ks: Iterable[int], rng: np.random.Generator) -> np.ndarray:
    """The shares near the best, then what the best of k random settings is expected to be."""
    settings = one.points.shape[1]
    space = qmc.Sobol(settings, rng=rng).random_base2(12)
    expected, at_best = metric(space), metric(one.points[one.best])
    shares = [float((expected >= (1 - part) * at_best).mean()) for part in WITHIN]
    tune, test = measure(np.tile(expected, 8), sd, rng)
    curve = best_of_k_drawn(np.nan_to_num(tune, nan=-np.inf), np.nan_to_num(test, nan=NOTHING), list(ks))
    return np.array([*shares, *curve])


def bootstrap(one: Search, ks: Iterable[int], rng: np.random.Generator) -> np.ndarray:
    """Percentile intervals of best of k from resampled trials, ``(ks, 2)``: what is held against ours."""
    n = len(one.tune)
    ranked = np.nan_to_num(one.test, nan=NOTHING)[worst_first(one.tune)]
    below = np.cumsum(rng.multinomial(n, np.full(n, 1 / n), 1000), axis=1)
    among = np.concatenate([np.zeros((n, 1)), np.cumsum(weights_of_ranks(n), axis=1)], axis=1)
    rows = [np.diff(among[k - 1][below], axis=1, prepend=0) @ ranked for k in ks]
    return np.quantile(rows, [0.025, 0.975], axis=1).T


@dataclass(frozen=True)
class Coverage:
    """How often intervals contained the truth, and how wide they were.

    Attributes:
        share: For each of WITHIN.
        best: For each k.
        bootstrap: The same of a bootstrap's.
        share_width: Mean width, of the space.
        best_width: Mean width, in points.
        bootstrap_width: The same of a bootstrap's.
        searches: That had a landscape.
    """

    share: np.ndarray
    best: np.ndarray
    bootstrap: np.ndarray
    share_width: np.ndarray
    best_width: np.ndarray
    bootstrap_width: np.ndarray
    searches: int


def coverage(
    family: str,
    sd: float,
    trials: int,
    searches: int,
    ks: list[int],
    independent: bool = False,
    seed: int = 0,
) -> Coverage:
    """Simulate searches.

    Args:
        family: Of :data:`FAMILIES`.
        sd: Of a training's metric by its seed; the best has 50 points.
        trials: Of each search.
        searches: How many.
        ks: For which best of k.
        independent: Whether trials are drawn independently rather than quasi-random.
        seed: Of everything.
    """
    rng = np.random.default_rng(seed)
    settings, draw = FAMILIES[family]
    hits, widths = [], []
    for _ in range(searches):
        metric = draw(rng)
        one = search(metric, points(trials, settings, independent, rng), sd, rng)
        found = landscape(one.points, one.tune, one.test, one.best, list(one.finals))
        if found is None:
            continue
        shares, curve = shares_near_best(found), expected_best(found, ks)
        ends = np.array([(x.low, x.high) for x in (*shares, *curve)])
        known = truth(metric, one, sd, ks, rng)
        ends, known = np.concatenate([ends, bootstrap(one, ks, rng)]), np.append(known, known[len(WITHIN) :])
        # Ends that are the truth contain it, whatever the last digit.
        hits.append((ends[:, 0] - 1e-9 <= known) & (known <= ends[:, 1] + 1e-9))
        widths.append(ends[:, 1] - ends[:, 0])
    parts = [len(WITHIN), len(WITHIN) + len(ks)]
    return Coverage(
        *np.split(np.mean(hits, 0), parts), *np.split(np.mean(widths, 0), parts), searches=len(hits)
    )


def percent(values: np.ndarray) -> str:
    """Such as ``95 · 96 · 94``."""
    return " · ".join(f"{100 * value:.0f}" for value in values)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--searches", type=int, default=150)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--independent", action="store_true")
    args = parser.parse_args()
    ks = [k for k in (1, 2, 4, 8, 16, 32) if k <= args.trials]
    curve = " · ".join(map(str, ks))
    print(f"| landscape | sd | near the best: 1 · 2 · 5 % | best of {curve} | bootstrap | widths |")
    print("|---|---|---|---|---|---|", flush=True)
    rows = []
    for family in args.families:
        for sd in (0.3, 1.5):
            one = coverage(family, sd, args.trials, args.searches, ks, args.independent)
            rows.append(one)
            covered = " | ".join(map(percent, (one.share, one.best, one.bootstrap)))
            # Of the share within 2 %, of the best of 4 or fewer, and of the bootstrap's.
            middle = min(2, len(ks) - 1)
            widths = (100 * one.share_width[1], one.best_width[middle], one.bootstrap_width[middle])
            print(
                f"| {family} | {sd} | {covered} | {' · '.join(f'{width:.1f}' for width in widths)} |",
                flush=True,
            )
    share, best, boot = (
        np.mean([getattr(row, name) for row in rows], axis=0) for name in ("share", "best", "bootstrap")
    )
    print(f"| all | | {percent(share)} | {percent(best)} | {percent(boot)} | |")


if __name__ == "__main__":
    main()
