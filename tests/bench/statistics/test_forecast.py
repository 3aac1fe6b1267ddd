"""What is known of a plan beforehand, from runs of the same recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_plans import SMALL, TUNING
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.budget import budgets
from wrs_mm.bench.plan.comparison import resolve_arms
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Identity, Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.forecast import forecast
from wrs_mm.bench.statistics.power import minimum_detectable_difference

LONG = RECIPE + "train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=100)\n"
VALUES = {"none": [50.0, 53.0, 49.0], "wd": [60.0, 61.0, 64.0]}
"""mIoU by arm and seed of what was measured; wd is the baseline."""


@pytest.fixture
def measured(tmp_path: Path) -> WorkDir:
    """A work dir with final runs of 300 updates that took a minute each, and a trial."""
    work_dir = WorkDir(tmp_path / "measured")
    work_dir.path.mkdir()
    fields = {"recipe": "small", "options": {}, "optimizer": "recipe"}
    specs = [
        RunSpec(**fields, regularizer=arm, baseline=arm == "wd", seed=seed, trial=trial)
        for arm in VALUES
        for seed, trial in ((0, None), (1, None), (2, None), (100, 0))
    ]
    work_dir.register("measured", specs)
    for spec in specs:
        value = 0.0 if spec.trial is not None else VALUES[spec.regularizer][spec.seed]
        result = Result(
            status=Status.DONE, task="segmentation", metrics={"mIoU": value}, iteration=300, seconds=60.0
        )
        run = work_dir.run(spec)
        run.prepare(Identity(spec=spec, task="segmentation", dataset="d", config_hash="h"), "")
        run.write_result(result)
    return work_dir


@pytest.fixture
def lines(tmp_path: Path, measured: WorkDir) -> Callable[[str], list[str]]:
    """Gives what is foreseen of a plan."""
    write_recipe(tmp_path, text=LONG)

    def _lines(text: str) -> list[str]:
        (tmp_path / "plan.yaml").write_text(text)
        plan = load_plan(tmp_path / "plan.yaml")
        return forecast(plan, budgets(plan, resolve_arms(plan)), measured)

    return _lines


def test_the_time_of_a_plan_scales_with_its_runs_and_their_length(lines):
    # 600 updates take two minutes: 3 arms × (4 trials + 2 seeds).
    assert lines(SMALL + TUNING)[0] == "small: 18 runs, 36:00 one after the other (measured: 1:00 a run)"
    assert lines(SMALL)[0].startswith("small: 6 runs, 12:00 one after the other")
    # 4 trials to a half, 2 to the end: 4 × 300 + 2 × 300 updates.
    halved = SMALL + TUNING + "  halving: {rungs: [0.5], keep: 0.5}\n"
    assert lines(halved)[0].startswith("small: 18 runs, 30:00 one after the other")


def test_the_smallest_difference_comes_from_the_scatter_of_final_runs_over_seeds(lines):
    sd = np.std(np.subtract(VALUES["none"], VALUES["wd"]), ddof=1)
    for seeds, count in (("[0, 1, 2, 3, 4]", 5), ("[0, 1, 2, 3, 4, 5, 6, 7]", 8)):
        found = minimum_detectable_difference(float(sd), count)
        assert lines(SMALL.replace("[0, 1]", seeds))[1] == (
            f"small: with {count} seeds this plan can tell differences of {found:.1f} mIoU "
            f"(paired differences measured: sd {sd:.2f})"
        )


def test_of_what_nobody_has_run_nothing_is_foreseen(lines, tmp_path):
    write_recipe(tmp_path, "other", LONG)
    (line,) = lines(SMALL.replace("[small]", "[other]"))
    assert line.startswith("other: nothing of it is done in ")
