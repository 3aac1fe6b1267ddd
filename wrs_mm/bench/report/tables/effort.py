"""What is to be expected on test from so many trials, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from wrs_mm.bench.report.labels import NONE, number, range_of
from wrs_mm.bench.report.tables.base import Column, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.report.tables.settings import row_of
from wrs_mm.bench.statistics.tuned import ArmTrials

_RANDOM = (
    "With an interval (95 %, in brackets): of k settings drawn at random from the search, from a model of "
    "the metric between the trials; those of a plan are spaced evenly and find somewhat more."
)

_MADE = (
    "Without an interval: the mean over all subsets of k of the trials that were made, which is unbiased for "
    "every k where trials are independent."
)


def effort_table(arms: Sequence[ArmTrials]) -> Table | None:
    """The expected metric on test of the best of 1, 2, 4, … settings; None where nothing was measured there.

    Args:
        arms: All that were tuned.
    """
    arms = [one for one in arms if one.best_of_k]
    if not arms:
        return None
    most = max(one.through for one in arms)
    ks = sorted({*(2**power for power in range(most.bit_length())), most})
    rows = [row_of(one) for one in arms]
    scenario = ScenarioColumns(rows)
    body = []
    for one, row in zip(arms, rows, strict=True):
        cells = [TableCell(one.label), *scenario.cells(row), TableCell(one.choice.metric or NONE)]
        body.append(Row(one.label, [*cells, *(_cell(one, k) for k in ks)], one.spec.recipe))
    keys = [Column("regularizer"), *scenario.columns(), Column("metric")]
    columns = [*keys, *(Column(f"k = {k}", numeric=True) for k in ks)]
    sentences = ["Percent on test: the expected metric of the best of k trials on tune."]
    sentences += [_RANDOM] if any(one.expected for one in arms) else []
    sentences += [_MADE] if not all(one.expected for one in arms) else []
    if any(one.lost for one in arms):
        sentences.append("Where all k diverge the metric counts as 0.")
    return Table("Effort: what k trials find", " ".join(sentences), columns, body, keys=len(keys))


def _cell(one: ArmTrials, k: int) -> TableCell:
    if k > one.through:
        return TableCell(NONE)
    if not one.expected:
        value = one.best_of_k[k - 1].metric
        return TableCell(number(value), value)
    found = one.expected[k - 1]
    return TableCell(number(found.metric), found.metric, interval=range_of(found.low, found.high))
