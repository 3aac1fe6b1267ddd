"""The matrix of pretraining and finetuning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_up_transfer import finetuned, pretrained
from scipy import stats

from wrs_mm.bench.statistics.transfer import size_curves, transfers

STARTS, ARMS, SEEDS = ("scratch", "wd", "wrs"), ("wd", "wrs"), (0, 1, 2, 3)
VALUES = np.random.default_rng(0).normal(60, 3, (len(STARTS), len(ARMS), len(SEEDS)))


def matrix(pretraining=lambda seed: 0):
    runs = [
        finetuned(start, arm, seed, VALUES[i, j, seed], None if start == "scratch" else pretraining(seed))
        for i, start in enumerate(STARTS)
        for j, arm in enumerate(ARMS)
        for seed in SEEDS
    ]
    runs += [pretrained(arm, seed, 70.0 + seed) for arm in ("wd", "wrs") for seed in SEEDS]
    (found,) = transfers(runs)
    return found


def test_effects_are_those_of_the_mean_over_the_other_axis_seed_by_seed():
    one = matrix()
    assert (one.starts, one.arms, one.start, one.arm) == (list(STARTS), list(ARMS), "wd", "wd")
    gains = VALUES[:, 1] - VALUES[:, 0]
    expected = [
        (one.of_start("wrs"), (VALUES[2] - VALUES[1]).mean(0)),
        (one.of_arm("wrs"), gains.mean(0)),
        (one.interaction("wrs", "wrs"), gains[2] - gains[1]),
    ]
    for effect, values in expected:
        low, high = stats.t.interval(0.95, len(SEEDS) - 1, values.mean(), stats.sem(values))
        assert effect[:3] == pytest.approx((values.mean(), low, high))
        assert effect.units == len(SEEDS)
    assert one.cell("wd", "wrs") == pytest.approx((VALUES[1, 1].mean(), VALUES[1, 1].std(ddof=1)))


def test_of_one_pretraining_the_unit_is_the_seed_and_of_several_the_pretraining():
    assert matrix().one_each
    paired = matrix(lambda seed: seed)
    assert not paired.one_each and paired.of_start("wrs") == matrix().of_start("wrs")
    # Two pretrainings with two finetunings each are two units, not four.
    halves = matrix(lambda seed: seed // 2)
    two = [VALUES[1, 0, :2].mean(), VALUES[1, 0, 2:].mean()]
    assert halves.cell("wd", "wd") == pytest.approx((np.mean(two), np.std(two, ddof=1)))
    assert halves.of_start("wrs").units == 2 and math.isnan(halves.of_start("wrs").low)


def test_the_pretrainings_own_metric_stands_beside_it_each_once():
    assert matrix(lambda seed: seed).pretrained == {
        arm: (pytest.approx(71.5), pytest.approx(np.std([0, 1, 2, 3], ddof=1)), "top1")
        for arm in ("wd", "wrs")
    }
    mean, sd, _ = matrix().pretrained["wd"]
    assert mean == 70.0 and math.isnan(sd)


def test_a_run_that_diverged_leaves_its_seed_out_of_what_it_is_part_of():
    runs = [
        finetuned(start, arm, seed, None if (start, arm, seed) == ("scratch", "wrs", 0) else 50.0 + seed)
        for start in ("scratch", "wd")
        for arm in ARMS
        for seed in SEEDS
    ]
    (one,) = transfers(runs)
    assert one.of_start("scratch").units == 3 and one.interaction("scratch", "wrs").units == 3
    assert len(one.cells["scratch", "wd"]) == 4 and one.pretrained == {}


def test_a_finetuning_that_is_missing_is_missing_from_all_that_it_is_compared_with():
    # Three pretrainings with seeds that differ by ten points; the arm gains one, everywhere.
    runs = [
        finetuned(start, arm, seed, None if missing else 50.0 + 10 * seed + before + (arm == "wrs"), before)
        for start in ("wd", "wrs")
        for arm in ARMS
        for before in (10, 11, 12)
        for seed in (0, 1)
        if (missing := (start, arm, before, seed) == ("wrs", "wrs", 10, 0)) or True
    ]
    (one,) = transfers(runs)
    assert one.of_arm("wrs")[:3] == pytest.approx((1.0, 1.0, 1.0))
    assert one.interaction("wrs", "wrs")[:3] == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert one.of_start("wrs")[:3] == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize("seeds", [(10, 11, 12), (0, 1, 2)])
def test_rows_of_other_units_are_independent(seeds):
    # From nothing the unit is the seed of the finetuning, from pretrainings that are crossed with it theirs.
    draw = np.random.default_rng(1)
    scratch = {arm: draw.normal(50, 2, 3) for arm in ARMS}
    wd = {arm: draw.normal(60, 2, (3, 3)) for arm in ARMS}
    runs = [finetuned("scratch", arm, seed, scratch[arm][seed]) for arm in ARMS for seed in range(3)]
    runs += [
        finetuned("wd", arm, seed, wd[arm][i, seed], before)
        for arm in ARMS
        for i, before in enumerate(seeds)
        for seed in range(3)
    ]
    (one,) = transfers(runs)
    gains = [wd["wrs"].mean(1) - wd["wd"].mean(1), scratch["wrs"] - scratch["wd"]]
    means = [(wd["wrs"] + wd["wd"]).mean(1) / 2, (scratch["wrs"] + scratch["wd"]) / 2]
    for effect, (above, below) in [
        (one.of_start("scratch"), means[::-1]),
        (one.interaction("scratch", "wrs"), gains[::-1]),
    ]:
        welch = stats.ttest_ind(above, below, equal_var=False).confidence_interval(0.95)
        assert effect == pytest.approx((above.mean() - below.mean(), welch.low, welch.high, 3))
    arm = one.of_arm("wrs")
    welch = stats.ttest_ind(gains[0], -gains[1], equal_var=False).confidence_interval(0.95)
    assert arm[:3] == pytest.approx(((gains[0].mean() + gains[1].mean()) / 2, welch.low / 2, welch.high / 2))


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        (["scratch", "wd"], "wd"),
        (["scratch", "wd recipe", "wd AdamW"], "wd recipe"),
        (["scratch", "wd (weight_decay=0.01)"], "scratch"),
        (["wd (weight_decay=0.01)", "wrs", "wd"], "wd"),
    ],
)
def test_rows_are_compared_with_that_of_the_baselines_arm(starts, expected):
    (one,) = transfers([finetuned(start, arm, 0, 50.0) for start in starts for arm in ARMS])
    assert one.start == expected


def test_the_row_of_a_baseline_with_options_is_found_too():
    options = {"weight_decay": 0.01}
    starts = ("scratch", "wd (weight_decay=0.01)")
    (one,) = transfers(
        [finetuned(start, "wd", seed, 50.0, options=options) for start in starts for seed in (0, 1)]
    )
    assert one.start == starts[1]


def test_without_starts_or_with_one_or_before_any_result_there_is_no_matrix():
    assert transfers([finetuned("wd", arm, 0, 50.0) for arm in ARMS]) == []
    assert transfers([finetuned(start, "wd", 0, None) for start in STARTS]) == []
    assert transfers([pretrained("wd", 0, 70.0)]) == []


def test_recipes_that_differ_in_their_training_images_make_curves():
    runs = [
        finetuned(
            start,
            arm,
            seed,
            images / 10 + seed + (start == "wd"),
            cfg_options={"train_dataloader.dataset.indices": images},
        )
        for images in (30, 10, 100)
        for start in ("scratch", "wd")
        for arm in ARMS
        for seed in (0, 1)
    ]
    of_wd, of_wrs = size_curves(runs)
    assert (of_wd.arm, of_wrs.arm, of_wd.config, of_wd.metric) == ("wd", "wrs", "r", "mIoU")
    (label, scratch), (_, wd) = of_wd.curves.items()
    assert (label, scratch.steps, scratch.mean) == ("scratch", [10, 30, 100], [1.5, 3.5, 10.5])
    assert (wd.low, wd.high) == ([2.0, 4.0, 11.0], [3.0, 5.0, 12.0])
    others = [
        finetuned("wd", "wd", 0, 90.0, cfg_options=run.spec.cfg_options, optimizer="AdamW") for run in runs
    ]
    assert size_curves([*runs, *others])[0].curves["wd"] == wd
    assert (
        size_curves([run for run in runs if run.spec.cfg_options["train_dataloader.dataset.indices"] == 10])
        == []
    )
