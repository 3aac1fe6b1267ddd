"""What is to be expected on test from so many trials, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from wrs_mm.bench.report.labels import NONE, number, range_of
from wrs_mm.bench.report.tables.base import Column, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.report.tables.settings import row_of
from wrs_mm.bench.statistics.tuned import ArmTuning

EXPLAINED = (
    "Numbers: the mean, over all choices of k of an arm's trials, of the metric on test of the one that is "
    "best on tune; of independent trials that is unbiased for every k. Quasi-random ones cover the search "
    "more evenly, so k of them find somewhat more than k random settings would. A search in which every "
    "trial diverged counts as 0."
)
"""The estimator, in words."""

WITH_INTERVALS = (
    "Brackets: the 95 % interval of what k random settings are expected to find, from a model of the metric "
    "between the trials."
)
"""What the intervals are."""


def effort_table(arms: Sequence[ArmTuning]) -> Table | None:
    """The expected metric on test of the best of 1, 2, 4, … trials; None where no arm has any.

    Args:
        arms: All that were tuned.
    """
    arms = [one for one in arms if one.effort]
    if not arms:
        return None
    most = max(len(one.trials) for one in arms)
    ks = sorted({*(2**power for power in range(most.bit_length())), most})
    rows = [row_of(one) for one in arms]
    scenario = ScenarioColumns(rows)
    body = [
        Row(
            one.spec.arm_label,
            [
                TableCell(one.spec.arm_label),
                *scenario.cells(row),
                TableCell(one.metric or NONE),
                *(_cell(one, k) for k in ks),
            ],
            one.spec.recipe,
        )
        for one, row in zip(arms, rows, strict=True)
    ]
    keys = [Column("regularizer"), *scenario.columns(), Column("metric")]
    columns = [*keys, *(Column("1 trial" if k == 1 else f"{k} trials", numeric=True) for k in ks)]
    caption = f"Percent on test. {EXPLAINED}"
    if any(one.expected for one in arms):
        caption += f" {WITH_INTERVALS}"
    return Table("Effort: what trials are worth", caption, columns, body, keys=len(keys))


def _cell(one: ArmTuning, k: int) -> TableCell:
    if k > len(one.effort):
        return TableCell(NONE)
    value = one.effort[k - 1].metric
    ends = one.expected[k - 1] if one.expected else None
    return TableCell(number(value), value, interval=range_of(ends.low, ends.high) if ends else "")
