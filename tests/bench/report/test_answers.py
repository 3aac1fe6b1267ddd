"""The answers in words."""

from __future__ import annotations

import pandas as pd
import pytest

from wrs_mm.bench.report.answers import answers
from wrs_mm.bench.statistics.over_images import IMAGE_COLUMNS
from wrs_mm.bench.statistics.over_seeds import summarize

NONE = pd.DataFrame(columns=list(IMAGE_COLUMNS))


@pytest.mark.parametrize(
    ("wrs", "verdict"),
    [
        ({0: 61.0, 1: 63.1, 2: 67.9}, "better"),
        ({0: 59.0, 1: 61.1, 2: 65.9}, "worse"),
        ({0: 61.0, 1: 61.5, 2: 67.0}, "not told apart"),
        ({0: 61.0, 1: 63.1}, "too few seeds"),
    ],
)
def test_the_verdict_is_that_of_the_interval(results, wrs, verdict):
    (answer,) = answers(summarize(results({"wd": {0: 60.0, 1: 62.0, 2: 67.0}, "wrs": wrs})), NONE)
    assert answer.verdict == verdict
    assert answer.arm == "wrs"
    assert "against wd" in answer.sentence


def test_without_a_baseline_there_is_no_answer(results):
    assert answers(summarize(results({"wrs": {0: 1.0}})), NONE) == []


def test_it_says_of_which_split_the_images_are(results):
    frame = results({"wd": {0: 60.0}, "wrs": {0: 61.0}}).assign(split="test")
    images = pd.DataFrame(
        [
            {
                **dict.fromkeys(IMAGE_COLUMNS, ""),
                **{"recipe": "mini/pspnet", "optimizer": "recipe", "regularizer": "wrs", "options": "{}"},
                **{"metric": "mIoU", "low": 0.5, "high": 1.5},
            }
        ]
    )
    (answer,) = answers(summarize(frame), images)
    assert "Over the images of test, intervals without 0: 1 of 1 pair of runs." in answer.sentence


def test_diverged_runs_are_told(results):
    (answer,) = answers(summarize(results({"wd": {0: 60.0, 1: 62.0}, "none": {0: 1.0, 1: None}})), NONE)
    assert "1 of its 2 runs diverged" in answer.sentence
