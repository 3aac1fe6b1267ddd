"""Results written by hand, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.results import gather


def _results(values: dict[str, dict[int, float | None]], baseline: str = "wd") -> pd.DataFrame:
    """Results of one recipe: for each arm, mIoU by seed; None is a diverged run."""
    pairs = []
    for arm, by_seed in values.items():
        for seed, value in by_seed.items():
            spec = RunSpec(
                recipe="mini/pspnet",
                regularizer=arm,
                options={},
                optimizer="recipe",
                seed=seed,
                baseline=arm == baseline,
            )
            status = Status.DIVERGED if value is None else Status.DONE
            metrics = {} if value is None else {"mIoU": value, "mAcc": value + 10}
            result = Result(status=status, task="segmentation", dataset="mini", metrics=metrics)
            pairs.append((spec, result))
    return gather(pairs)


@pytest.fixture
def results() -> Callable[..., pd.DataFrame]:
    """Makes results of one recipe from values by arm and seed."""
    return _results
