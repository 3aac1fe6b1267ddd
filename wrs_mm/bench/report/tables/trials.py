"""Every trial, with what it was chosen by."""

from __future__ import annotations

from collections.abc import Sequence

from wrs_mm.bench.report.labels import NONE, SPLITS, number
from wrs_mm.bench.report.tables.base import Column, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.report.tables.settings import row_of, shown_settings
from wrs_mm.bench.statistics.tuned import ArmTuning


def trials_table(arms: Sequence[ArmTuning]) -> Table:
    """The trials that are through, arm by arm; the chosen ones are bold.

    Args:
        arms: All that were tuned.
    """
    rows = [row_of(one) for one in arms]
    scenario = ScenarioColumns(rows)
    body = []
    for one, row in zip(arms, rows, strict=True):
        for trial in one.trials:
            best = trial is one.best
            cells = [TableCell(one.spec.arm_label), *scenario.cells(row)]
            cells += [TableCell(str(trial.number), trial.number), TableCell(shown_settings(trial.settings))]
            cells += [TableCell("diverged" if trial.diverged else "chosen" if best else "")]
            cells.append(TableCell(one.metric or NONE))
            cells += [TableCell(number(value), value, best) for value in (trial.tune, trial.test)]
            body.append(Row(one.spec.arm_label, cells, one.spec.recipe))
    keys = [Column("regularizer"), *scenario.columns(), Column("trial", numeric=True)]
    columns = [*keys, Column("settings"), Column("outcome"), Column("metric")]
    columns += [Column(f"on {SPLITS['tune']}", numeric=True), Column("on test", numeric=True)]
    caption = (
        f"Percent. Chosen on {SPLITS['tune']}, where the chosen trial's number is therefore optimistic; no "
        "comparison shows it."
    )
    return Table("Trials", caption, columns, body, keys=len(keys))
