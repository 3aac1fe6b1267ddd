"""Every trial, with what it was chosen by."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wrs_mm.bench.report.labels import NONE, SPLITS, number
from wrs_mm.bench.report.tables.base import Column, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.report.tables.settings import row_of, shown_settings
from wrs_mm.bench.statistics.tuned import ArmTrials


def trials_table(arms: Sequence[ArmTrials]) -> Table:
    """The trials that are through, arm by arm; the chosen ones are bold.

    Args:
        arms: All that were tuned.
    """
    rows = [row_of(one) for one in arms]
    scenario = ScenarioColumns(rows)
    body = []
    for one, row in zip(arms, rows, strict=True):
        choice = one.choice
        on_test = dict(zip(one.search.numbers, one.search.test, strict=True)) if one.search else {}
        for trial, score in sorted(choice.scores.items()):
            best = trial == choice.trial
            cells = [TableCell(one.label), *scenario.cells(row), TableCell(str(trial), trial)]
            cells += [TableCell(shown_settings(choice.points[trial])), TableCell(choice.metric or NONE)]
            cells += [
                TableCell(number(value), value, best)
                for value in (math.nan if score is None else score, on_test.get(trial, math.nan))
            ]
            cells.append(TableCell("chosen" if best else one.lost.get(trial, "")))
            body.append(Row(one.label, cells, one.spec.recipe))
    keys = [Column("regularizer"), *scenario.columns(), Column("trial", numeric=True)]
    columns = [*keys, Column("settings"), Column("metric")]
    columns += [Column(name, numeric=True) for name in (f"on {SPLITS['tune']}", "on test")]
    caption = (
        f"Percent, means over a trial's seeds. Chosen on {SPLITS['tune']}, where the number of the chosen "
        "trial is therefore optimistic; no comparison shows it."
    )
    return Table("Trials", caption, [*columns, Column("outcome")], body, keys=len(keys))
